"""A whole server on a database, which logs what goes wrong; for the benchmarks.

It prints its address and a token of the administrator's.
"""

import sys
from pathlib import Path

from accredit_service import logs, server
from accredit_service.abilities import bootstrap
from accredit_service.abilities.calls.app import App
from accredit_service.servicers import services
from accredit_service.setting_rules import Address, LogLevel
from accredit_service.settings import Settings
from accredit_storage import migrate
from accredit_storage.directory.directories import Directories
from accredit_storage.store import Store

if __name__ == "__main__":
    url, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(url)
    settings = Settings(
        listen=Address("127.0.0.1", 0),
        database_url=url,
        data_dir=folder,
        # A line for each success would be measured with it.
        log_level=LogLevel.WARNING,
    )
    logs.configure(settings.log_level, settings.log_format)
    store = Store.open(url)
    app = App(store=store, directories=Directories(store, settings.files))
    app.directories.start()
    made = bootstrap.bootstrap(app, lambda _: None) or bootstrap.new_token(app, lambda _: None)
    with server.build(settings, app, services(app)) as running:
        print(running.address, made.secret, flush=True)
        sys.stdin.read()
