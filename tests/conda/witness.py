"""Imported by the channel's Python as it starts: at exit it says where it ran, and what it had imported."""

import atexit
import json
import os
import sys


def record() -> None:
    modules = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    with open(os.path.join(os.environ["WITNESS"], f"{os.getpid()}.json"), "w") as file:
        json.dump({"arguments": sys.argv, "prefix": sys.prefix, "modules": modules}, file)


if "WITNESS" in os.environ:
    atexit.register(record)
