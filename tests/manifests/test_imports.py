import subprocess
import sys


def test_neither_the_client_nor_the_package_loads_the_parser_or_grpc() -> None:
    program = (
        "import sys, accredit\n"
        "assert 'accredit.manifests' not in sys.modules\n"
        "import accredit.manifests\n"
        "heavy = {'ruamel.yaml', 'grpc', 'google.protobuf', 'click'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from accredit.manifests import read_text\n"
        "assert read_text('a.yaml', b'slug: a').definitions\n"
        "assert not heavy - {'ruamel.yaml'} & set(sys.modules) - {'ruamel.yaml'}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
