// SpiceDB as its own command, built here because its module cannot be installed by itself.
package main

import (
	"log"

	"github.com/authzed/spicedb/pkg/cmd"
)

func main() {
	root, err := cmd.BuildRootCommand()
	if err != nil {
		log.Fatal(err)
	}
	if err := root.Execute(); err != nil {
		log.Fatal(err)
	}
}
