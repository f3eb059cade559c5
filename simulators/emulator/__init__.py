"""The workload emulator: shows the metrics that a real cluster's fake pods would show, if they ran.

It watches the pods of its workloads, lets the simulators' own service model answer a load with as many pods as are
Ready, and serves what a scrape and the resource metrics API would say. `python -m simulators.emulator --config FILE`.
"""

from simulators.emulator.apiservice import apiservice_objects, permission_objects, server_names
from simulators.emulator.client import EmulatorClient
from simulators.emulator.config import EmulatorConfig, read
from simulators.emulator.emulator import Addresses, Emulator

__all__ = [
    "Addresses",
    "Emulator",
    "EmulatorClient",
    "EmulatorConfig",
    "apiservice_objects",
    "permission_objects",
    "read",
    "server_names",
]
