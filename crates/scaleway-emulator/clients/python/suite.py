"""What users of the official Python SDK do, against the emulator that SCW_API_URL names."""

import time
import unittest
import uuid

import requests
from scaleway import Client, ScalewayException
from scaleway.block.v1 import BlockV1API, CreateVolumeRequestFromEmpty, CreateVolumeRequestFromSnapshot
from scaleway.block.v1alpha1 import BlockV1Alpha1API
from scaleway.iam.v1alpha1 import IamV1Alpha1API
from scaleway.instance.v1 import InstanceV1API, VolumeServerTemplate
from scaleway.instance.v1.custom_api import InstanceUtilsV1API
from scaleway.instance.v1.types import SetSecurityGroupRulesRequestRule
from scaleway.marketplace.v2 import MarketplaceV2API
from scaleway_core.utils import WaitForOptions

ZONE = "fr-par-2"
GB = 1_000_000_000


def wait(read, done, what, seconds=20):
    """Polls as clients do; the emulator's clock runs many times faster than ours."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = read()
        if done(value):
            return value
        time.sleep(0.02)
    raise AssertionError(f"timed out: {what}")


class Suite(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = Client.from_env()
        cls.instance = InstanceV1API(cls.client)
        cls.utils = InstanceUtilsV1API(cls.client)
        cls.block = BlockV1API(cls.client)
        cls.old_block = BlockV1Alpha1API(cls.client)
        cls.market = MarketplaceV2API(cls.client)

    def refused(self, status, text, call):
        with self.assertRaises(ScalewayException) as caught:
            call()
        self.assertEqual(caught.exception.status_code, status)
        self.assertIn(text, str(caught.exception))

    def image(self, label="ubuntu_noble", kind="instance_sbs", of="PLAY2-PICO"):
        found = self.market.list_local_images_all(image_label=label, zone=ZONE, type_=kind)
        return next(i.id for i in found if of in i.compatible_commercial_types)

    def server(self, kind="PLAY2-PICO", label="ubuntu_noble", **more):
        made = self.instance._create_server(
            zone=ZONE, commercial_type=kind, name=f"py-{uuid.uuid4().hex[:8]}", image=self.image(label, of=kind),
            protected=False, dynamic_ip_required=False, **more)
        return made.server

    def act(self, server, action, until):
        self.instance.server_action(server_id=server.id, zone=ZONE, action=action)
        return wait(lambda: self.instance.get_server(server_id=server.id, zone=ZONE).server,
                    lambda s: s.state == until, f"{action} → {until}")

    def gone(self, server):
        def read():
            try:
                return self.instance.get_server(server_id=server.id, zone=ZONE)
            except ScalewayException as error:
                self.assertEqual(error.status_code, 404)
                return None
        wait(read, lambda s: s is None, "gone")

    def free(self, volume_id):
        return wait(lambda: self.block.get_volume(volume_id=volume_id, zone=ZONE), lambda v: v.status == "available",
                    f"{volume_id} is available")

    def volume(self, **more):
        made = self.block.create_volume(zone=ZONE, name=f"py-{uuid.uuid4().hex[:8]}",
                                        from_empty=CreateVolumeRequestFromEmpty(size=20 * GB), **more)
        self.assertEqual(made.status, "creating")
        return self.free(made.id)

    def test_a_life_with_a_data_volume_ends_by_terminate_and_its_block_volumes_stay(self):
        server = self.server()
        self.assertEqual((server.state, list(server.volumes)), ("stopped", ["0"]))
        data = self.volume(tags=["py", "data"], perf_iops=5000)
        self.instance.attach_server_volume(server_id=server.id, zone=ZONE, volume_id=data.id, volume_type="sbs_volume")
        wait(lambda: self.block.get_volume(volume_id=data.id, zone=ZONE),
             lambda v: v.status == "in_use" and v.references[0].status == "attached", "attached")
        wait(lambda: self.instance.get_server(server_id=server.id, zone=ZONE).server,
             lambda s: "poweron" in s.allowed_actions, "may be started")
        self.act(server, "poweron", "running")
        self.refused(400, "server should be stopped", lambda: self.instance.server_action(
            server_id=server.id, zone=ZONE, action="poweron"))
        self.block.update_volume(volume_id=data.id, zone=ZONE, size=30 * GB)
        wait(lambda: self.block.get_volume(volume_id=data.id, zone=ZONE), lambda v: v.size == 30 * GB, "resized")
        self.refused(412, "precondition", lambda: self.block.delete_volume(volume_id=data.id, zone=ZONE))
        self.instance.server_action(server_id=server.id, zone=ZONE, action="terminate")
        self.gone(server)
        for volume_id in (server.volumes["0"].id, data.id):
            self.free(volume_id)
            self.block.delete_volume(volume_id=volume_id, zone=ZONE)
            self.refused(404, "not_found", lambda: self.block.get_volume(volume_id=volume_id, zone=ZONE))

    def test_the_other_order_power_off_detach_delete(self):
        server = self.server(kind="L40S-1-48G", label="ubuntu_jammy_gpu_os_12")
        kinds = sorted(v.volume_type for v in server.volumes.values())
        self.assertEqual(kinds, ["sbs_volume", "scratch"])
        self.act(server, "poweron", "running")
        self.refused(400, "precondition", lambda: self.instance.delete_server(server_id=server.id, zone=ZONE))
        self.act(server, "poweroff", "stopped")
        root = server.volumes["0"].id
        self.instance.detach_server_volume(server_id=server.id, zone=ZONE, volume_id=root)
        self.refused(400, "is not attached to this server", lambda: self.instance.detach_server_volume(
            server_id=server.id, zone=ZONE, volume_id=root))
        self.free(root)
        self.instance.delete_server(server_id=server.id, zone=ZONE)
        self.gone(server)
        self.refused(404, "instance_server", lambda: self.instance.delete_server(server_id=server.id, zone=ZONE))
        self.block.delete_volume(volume_id=root, zone=ZONE)

    def test_user_data_goes_in_and_comes_out(self):
        server = self.server()
        text = "#cloud-config\nruncmd: [true]\n"
        self.utils.set_server_user_data(server_id=server.id, key="cloud-init", content=text.encode(), zone=ZONE)
        keys = self.instance.list_server_user_data(server_id=server.id, zone=ZONE).user_data
        self.assertEqual(keys, ["cloud-init"])
        read = self.utils.get_server_user_data(server_id=server.id, key="cloud-init", zone=ZONE)
        self.assertEqual(read.text, text)
        self.instance.delete_server_user_data(server_id=server.id, key="cloud-init", zone=ZONE)
        self.assertEqual(self.instance.list_server_user_data(server_id=server.id, zone=ZONE).user_data, [])
        self.remove(server)

    def remove(self, server):
        self.instance.delete_server(server_id=server.id, zone=ZONE)
        for volume in server.volumes.values():
            if volume.volume_type == "sbs_volume":
                self.free(volume.id)
                self.block.delete_volume(volume_id=volume.id, zone=ZONE)

    def test_lists_filter_and_page_to_the_last(self):
        tag = uuid.uuid4().hex
        servers = [self.server(tags=[tag]) for _ in range(5)]
        found = self.instance.list_servers_all(zone=ZONE, tags=[tag])
        self.assertEqual({s.id for s in found}, {s.id for s in servers})
        page = self.instance.list_servers(zone=ZONE, tags=[tag], page=2, per_page=2)
        self.assertEqual((len(page.servers), int(page.total_count)), (2, 5))
        by_name = self.instance.list_servers_all(zone=ZONE, name=servers[0].name[:-1])
        self.assertIn(servers[0].id, {s.id for s in by_name})
        volumes = [self.volume(tags=[tag]) for _ in range(3)]
        listed = self.block.list_volumes_all(zone=ZONE, tags=[tag], include_deleted=False)
        self.assertEqual({v.id for v in listed}, {v.id for v in volumes})
        on = self.block.list_volumes_all(zone=ZONE, product_resource_id=servers[0].id, include_deleted=False)
        self.assertEqual([v.id for v in on], [servers[0].volumes["0"].id])
        for server in servers:
            self.remove(server)
        for volume in volumes:
            self.block.delete_volume(volume_id=volume.id, zone=ZONE)

    def test_the_catalogue_has_all_its_pages(self):
        names = set()
        for page in (1, 2, 3):
            names |= set(self.instance.list_servers_types(zone=ZONE, page=page).servers)
        self.assertGreaterEqual(len(names), 135)
        self.assertIn("H100-SXM-8-80G", names)
        types = self.instance.list_servers_types(zone=ZONE, page=1).servers
        self.assertEqual(types["H100-1-80G"].gpu, 1)
        stock = self.instance.get_server_types_availability(zone=ZONE).servers
        self.assertEqual({t.availability for t in stock.values()}, {"available"})
        self.assertEqual(sorted(self.instance.list_volumes_types(zone=ZONE).volumes), ["l_ssd", "scratch"])
        labels = {i.label for i in self.market.list_images_all(include_eol=False)}
        self.assertIn("ubuntu_jammy_gpu_os_12", labels)
        self.refused(404, "MarketplaceImage", lambda: self.market.list_local_images(image_label="no_such_label", zone=ZONE))

    def test_block_snapshots_make_volumes(self):
        volume = self.volume()
        snapshot = self.block.create_snapshot(zone=ZONE, volume_id=volume.id, name="py-snap", tags=["py"], public=False)
        ready = wait(lambda: self.block.get_snapshot(snapshot_id=snapshot.id, zone=ZONE),
                     lambda s: s.status == "available", "snapshot")
        self.assertEqual((ready.size, ready.parent_volume.id), (20 * GB, volume.id))
        copy = self.block.create_volume(zone=ZONE, name="py-copy",
                                        from_snapshot=CreateVolumeRequestFromSnapshot(snapshot_id=snapshot.id))
        self.assertEqual(self.free(copy.id).parent_snapshot_id, snapshot.id)
        self.refused(412, "larger than the size of the source snapshot", lambda: self.block.create_volume(
            zone=ZONE, name="small", from_snapshot=CreateVolumeRequestFromSnapshot(snapshot_id=snapshot.id, size=10 * GB)))
        self.assertIn(snapshot.id, [s.id for s in self.old_block.list_snapshots_all(zone=ZONE)])
        for volume_id in (copy.id, volume.id):
            self.block.delete_volume(volume_id=volume_id, zone=ZONE)
        self.block.delete_snapshot(snapshot_id=snapshot.id, zone=ZONE)

    def test_local_volumes_snapshots_and_images(self):
        image = self.image(kind="instance_local", of="DEV1-S")
        made = self.instance._create_server(zone=ZONE, commercial_type="DEV1-S", name="py-local", image=image,
                                            protected=False, dynamic_ip_required=False)
        server = made.server
        root = server.volumes["0"]
        self.assertEqual((root.volume_type, root.size), ("l_ssd", 20 * GB))
        snapshot = self.instance.create_snapshot(zone=ZONE, name="py-local-snap", volume_id=root.id).snapshot
        wait(lambda: self.instance.get_snapshot(snapshot_id=snapshot.id, zone=ZONE).snapshot,
             lambda s: s.state == "available", "local snapshot")
        mine = self.instance.create_image(zone=ZONE, root_volume=snapshot.id, arch="x86_64", name="py-image").image
        self.assertEqual(self.instance.get_image(image_id=mine.id, zone=ZONE).image.name, "py-image")
        self.assertIn(mine.id, [i.id for i in self.instance.list_images_all(zone=ZONE, public=False)])
        copy = self.instance._create_server(zone=ZONE, commercial_type="DEV1-S", name="py-copy", image=mine.id,
                                            protected=False, dynamic_ip_required=False).server
        self.instance.delete_server(server_id=server.id, zone=ZONE)
        left = self.instance.get_volume(volume_id=root.id, zone=ZONE).volume
        self.assertEqual((left.state, left.server), ("available", None))
        self.instance.delete_volume(volume_id=root.id, zone=ZONE)
        self.act(copy, "poweron", "running")
        self.instance.server_action(server_id=copy.id, zone=ZONE, action="terminate")
        self.gone(copy)
        self.refused(404, "instance_volume",
                     lambda: self.instance.get_volume(volume_id=copy.volumes["0"].id, zone=ZONE))
        self.instance.delete_image(image_id=mine.id, zone=ZONE)
        self.instance.delete_snapshot(snapshot_id=snapshot.id, zone=ZONE)

    def test_addresses_of_both_families_survive_their_server(self):
        v4 = self.instance.create_ip(zone=ZONE, type_="routed_ipv4", tags=["py"]).ip
        v6 = self.instance.create_ip(zone=ZONE, type_="routed_ipv6").ip
        self.assertTrue(v4.address and not v6.address and v6.prefix)
        server = self.server(public_ips=[v4.id, v6.id])
        self.assertEqual({ip.family for ip in server.public_ips}, {"inet", "inet6"})
        self.assertEqual(self.instance.get_ip(ip=v4.address, zone=ZONE).ip.server.id, server.id)
        self.remove(server)
        self.assertIsNone(self.instance.get_ip(ip=v4.id, zone=ZONE).ip.server)
        self.assertIn(v4.id, [ip.id for ip in self.instance.list_ips_all(zone=ZONE)])
        for ip in (v4, v6):
            self.instance.delete_ip(ip=ip.id, zone=ZONE)
        self.refused(404, "instance_ip", lambda: self.instance.get_ip(ip=v4.id, zone=ZONE))

    def test_a_security_group_with_rules(self):
        group = self.instance.create_security_group(
            zone=ZONE, name="py-group", description="of the suite", stateful=True,
            inbound_default_policy="drop", outbound_default_policy="accept").security_group
        rule = self.instance.create_security_group_rule(
            zone=ZONE, security_group_id=group.id, protocol="TCP", direction="inbound", action="accept",
            ip_range="0.0.0.0/0", dest_port_from=22, position=1, editable=True).rule
        rules = self.instance.list_security_group_rules_all(zone=ZONE, security_group_id=group.id)
        self.assertEqual((len(rules), rules[-1].id, rules[0].editable), (7, rule.id, False))
        put = self.instance.set_security_group_rules(zone=ZONE, security_group_id=group.id, rules=[
            SetSecurityGroupRulesRequestRule(action="drop", protocol="UDP", direction="outbound",
                                             ip_range="10.0.0.0/8", dest_port_from=53, position=1)])
        self.assertEqual(put.rules[-1].protocol, "UDP")
        server = self.server(security_group=group.id)
        self.assertEqual(server.security_group.id, group.id)
        self.refused(400, "in use", lambda: self.instance.delete_security_group(security_group_id=group.id, zone=ZONE))
        self.remove(server)
        self.instance.delete_security_group(security_group_id=group.id, zone=ZONE)
        self.refused(404, "instance_security_group",
                     lambda: self.instance.get_security_group(security_group_id=group.id, zone=ZONE))

    def test_a_placement_group(self):
        group = self.instance.create_placement_group(zone=ZONE, name="py-placement", policy_mode="enforced",
                                                     policy_type="max_availability").placement_group
        server = self.server(placement_group=group.id)
        self.assertEqual(server.placement_group.id, group.id)
        self.remove(server)
        self.instance.delete_placement_group(placement_group_id=group.id, zone=ZONE)

    def test_every_class_of_refusal_is_met(self):
        self.refused(400, "commercial_type", lambda: self.instance._throw_on_error(self.instance._request(
            "POST", f"/instance/v1/zones/{ZONE}/servers", body={"name": "x"})))
        self.refused(404, "instance_image", lambda: self.instance._create_server(
            zone=ZONE, commercial_type="PLAY2-PICO", image=str(uuid.uuid4()), protected=False))
        self.refused(400, "perf_iops", lambda: self.block.create_volume(
            zone=ZONE, name="x", perf_iops=7000, from_empty=CreateVolumeRequestFromEmpty(size=GB)))
        self.refused(404, "not_found", lambda: self.block.delete_volume(volume_id=str(uuid.uuid4()), zone=ZONE))
        faults = self.client.api_url + "/_emulator/faults"
        # This client cannot read a 429, which has no body: it fails as it does at the real API.
        requests.post(faults, json={"path": "/block/*", "nth": 1, "effect": {"error": "rate_limited"}}, timeout=5)
        with self.assertRaises(requests.exceptions.JSONDecodeError):
            self.block.get_volume(volume_id=str(uuid.uuid4()), zone=ZONE)
        for name, status, text in [("denied_authentication", 401, "denied"),
                                   ("permissions_denied", 403, "insufficient"), ("quotas_exceeded", 403, "quota"),
                                   ("transient_state", 409, "transient"), ("expired", 410, "expired"),
                                   ("internal_server_error", 500, "Internal"), ("out_of_stock", 503, "out of stock")]:
            rule = {"method": "GET", "path": "/block/*/volumes/*", "nth": 1, "effect": {"error": name}}
            self.assertEqual(requests.post(faults, json=rule, timeout=5).status_code, 200)
            self.refused(status, text, lambda: self.block.get_volume(volume_id=str(uuid.uuid4()), zone=ZONE))
        requests.delete(faults, timeout=5)

    def test_keys_are_read(self):
        iam = IamV1Alpha1API(self.client)
        self.assertEqual(iam.get_api_key(access_key=self.client.access_key).access_key, self.client.access_key)
        key = iam.create_ssh_key(name="py", public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICC/GwZzzlDeSKN6SliDqfRIUp7u9kDpArZ6Cj+BH1LH py")
        self.assertEqual(iam.get_ssh_key(ssh_key_id=key.id).name, "py")
        self.assertIn(key.id, [k.id for k in iam.list_ssh_keys_all()])
        iam.delete_ssh_key(ssh_key_id=key.id)

    def test_two_volumes_given_at_creation(self):
        made = self.server(volumes={"0": VolumeServerTemplate(size=30 * GB, volume_type="sbs_volume", boot=False),
                                    "1": VolumeServerTemplate(size=10 * GB, volume_type="sbs_volume", name="second")})
        self.assertEqual(sorted(made.volumes), ["0", "1"])
        self.assertEqual(self.free_or_used(made.volumes["0"].id).size, 30 * GB)
        self.remove(made)

    def free_or_used(self, volume_id):
        return self.block.wait_for_volume(volume_id=volume_id, zone=ZONE, options=WaitForOptions(
            stop=lambda v: v.status in ("available", "in_use"), timeout=20))


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    raise SystemExit(failed > 0)
