"""One life of an instance with a client that was generated from openapi.json: nothing here knows a path or a field by heart.

Usage: life.py URL TOKEN_FILE. The generated package `inventiv_client` is on PYTHONPATH.
"""

import json
import pathlib
import sys
import time

from inventiv_client import AuthenticatedClient
from inventiv_client import api
from inventiv_client.api.audit import get_audit, request_audit
from inventiv_client.api.instances import (
    create_instance,
    get_instance,
    get_instance_proof,
    list_instances,
    terminate_instance,
)
from inventiv_client.api.offers import list_offers
from inventiv_client.api.volumes import list_volumes
from inventiv_client.models import CreateInstance

DEADLINE_S = 120


def check_complete(openapi: pathlib.Path) -> None:
    """Every operation has its function: the generator leaves out, with a warning, what it does not understand."""
    document = json.loads(openapi.read_text())
    operations = sum(len(item) for item in document["paths"].values())
    folder = pathlib.Path(api.__file__).parent
    functions = [f for f in folder.glob("*/*.py") if f.name != "__init__.py"]
    assert len(functions) == operations, f"{len(functions)} of {operations} operations were generated"


def until(client: AuthenticatedClient, id: str, status: str):
    began = time.monotonic()
    while True:
        shown = get_instance.sync(id, client=client)
        if shown.status == status:
            return shown
        assert shown.status not in ("terminated", "provisioning_failed"), shown.error
        assert time.monotonic() - began < DEADLINE_S, f"{id} is still {shown.status}"
        time.sleep(0.1)


def main() -> None:
    url, token_file, openapi = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    check_complete(openapi)
    client = AuthenticatedClient(base_url=url, token=token_file.read_text().strip())
    began = time.monotonic()
    offers = []
    while not offers:
        assert time.monotonic() - began < DEADLINE_S, "there is no catalogue"
        found = list_offers.sync(client=client, zone="fr-par-2", gpu=True)
        offers = [o for o in (found.items if hasattr(found, "items") else []) if o.instance_type == "L40S-1-48G"]
        time.sleep(0.1)
    assert offers[0].hourly_micros > 0

    request = CreateInstance(zone="fr-par-2", instance_type="L40S-1-48G", name="generated", data_volume_gb=50)
    made = create_instance.sync(client=client, body=request, idempotency_key="one")
    again = create_instance.sync(client=client, body=request, idempotency_key="one")
    assert again.id == made.id, "the same key made two instances"
    ready = until(client, made.id, "ready")
    assert ready.storage_count == 3 and ready.storage_sizes_gb == [20, 1600, 50], ready.storage_sizes_gb
    assert [v.status for v in ready.storages] == ["attached"] * 3
    assert [i.id for i in list_instances.sync(client=client, status="ready").items] == [made.id]
    assert len(list_volumes.sync(client=client, instance_id="generated").items) == 3

    refused = create_instance.sync_detailed(client=client, body=CreateInstance(zone="mars-1", instance_type="L4-1-24G"))
    assert refused.status_code == 422, refused.status_code

    terminate_instance.sync("generated", client=client)
    until(client, made.id, "terminated")
    proof = get_instance_proof.sync(made.id, client=client)
    assert proof.clean and len(proof.resources) == 4, proof.verdict
    assert request_audit.sync_detailed(client=client, body=None).status_code == 202
    assert get_audit.sync(client=client) is not None
    print("generated client: one instance life cycle, from the request to the proof")


main()
