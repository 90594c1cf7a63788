//! Notes what begins and ends to cost money, as the state changes.

use crate::held::{Block, Ip, Server};
use crate::meter::{Meter, Metered};
use crate::world::World;

impl World {
    /// Forgets what did cost money, after the whole state was replaced.
    pub(crate) fn measure_anew(&mut self, now_us: i64) {
        self.meter = Meter::default();
        self.held.servers.touch_all();
        self.held.blocks.touch_all();
        self.held.ips.touch_all();
        self.measure(now_us);
    }

    /// Notes what has changed since the last time, as of a moment.
    pub(crate) fn measure(&mut self, at_us: i64) {
        for id in self.held.servers.take_touched() {
            let server = self.held.servers.get(&id);
            let on = server.filter(|s| s.state != "stopped");
            self.meter.set("server", &id, on.map(|s| of_server(s, at_us)), at_us);
            let address = on.and_then(|s| Some(of_dynamic(s, s.dynamic_ip.as_ref()?, at_us)));
            self.meter.set("address", &id, address, at_us);
        }
        for id in self.held.blocks.take_touched() {
            let volume = self.held.blocks.get(&id).map(|v| of_block(v, at_us));
            self.meter.set("volume", &id, volume, at_us);
        }
        for id in self.held.ips.take_touched() {
            let ip = self.held.ips.get(&id).filter(|ip| ip.address.is_some());
            self.meter.set("address", &id, ip.map(|ip| of_flexible(ip, at_us)), at_us);
        }
    }
}

fn of_server(s: &Server, from_us: i64) -> Metered {
    Metered {
        kind: "server",
        id: s.id.clone(),
        name: s.name.clone(),
        zone: s.zone.clone(),
        project: s.project.clone(),
        unit: s.commercial_type.clone(),
        quantity: 1,
        from_us,
        until_us: None,
    }
}

fn of_dynamic(s: &Server, ip: &Ip, from_us: i64) -> Metered {
    let quantity = i64::from(ip.address.is_some());
    Metered { kind: "address", unit: "ipv4".to_owned(), quantity, ..of_server(s, from_us) }
}

fn of_flexible(ip: &Ip, from_us: i64) -> Metered {
    Metered {
        kind: "address",
        id: ip.id.clone(),
        name: ip.address.clone().unwrap_or_default(),
        zone: ip.zone.clone(),
        project: ip.project.clone(),
        unit: "ipv4".to_owned(),
        quantity: 1,
        from_us,
        until_us: None,
    }
}

fn of_block(v: &Block, from_us: i64) -> Metered {
    Metered {
        kind: "volume",
        id: v.id.clone(),
        name: v.name.clone(),
        zone: v.zone.clone(),
        project: v.project.clone(),
        unit: v.iops.to_string(),
        quantity: (v.size + 999_999_999) / 1_000_000_000,
        from_us,
        until_us: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::Emulator;
    use crate::options::{ClockMode, Options};
    use bytes::Bytes;
    use serde_json::{Value, json};

    fn ask(e: &Emulator, method: &str, path: &str, body: Value) -> Value {
        let request = http::Request::builder().method(method).uri(path).header("x-auth-token", "x");
        let answer = e.handle(&request.body(Bytes::from(body.to_string())).unwrap());
        assert!(answer.status().is_success(), "{method} {path}: {:?}", answer.body());
        serde_json::from_slice(answer.body()).unwrap_or_default()
    }

    #[test]
    fn a_life_is_measured_from_power_on_to_power_off_and_from_creation_to_deletion() {
        let e = Emulator::new(Options { clock: ClockMode::Manual, ..Options::default() });
        let zone = "/instance/v1/zones/fr-par-2";
        let project = e.project();
        let images = "/marketplace/v2/local-images?image_label=ubuntu_noble&zone=fr-par-2&type=instance_sbs";
        let images = ask(&e, "GET", images, Value::Null);
        let image = images["local_images"].as_array().unwrap().iter().find(|i| i["arch"] == "x86_64").unwrap();
        let body = json!({"name": "s", "commercial_type": "PLAY2-PICO", "image": image["id"], "project": project,
            "dynamic_ip_required": true});
        let server = ask(&e, "POST", &format!("{zone}/servers"), body)["server"]["id"].as_str().unwrap().to_owned();
        let act = |word: &str| ask(&e, "POST", &format!("{zone}/servers/{server}/action"), json!({"action": word}));
        let seconds = |m: &Metered| m.until_us.map(|until| (until - m.from_us + 500_000) / 1_000_000);
        let of = |kind: &str| e.metered().into_iter().filter(|m| m.kind == kind).collect::<Vec<_>>();
        e.advance_ms(10_000);
        assert!(of("server").is_empty() && of("volume").len() == 1, "a server that never ran costs nothing");
        act("poweron");
        e.advance_ms(100_000);
        assert_eq!((of("server").len(), of("address").len()), (1, 1));
        act("poweroff");
        e.advance_ms(200_000);
        let (on, address) = (seconds(&of("server")[0]).unwrap(), seconds(&of("address")[0]).unwrap());
        assert!((100..200).contains(&on) && address <= on, "{on} {address}");
        act("poweron");
        e.advance_ms(100_000);
        act("terminate");
        e.advance_ms(200_000);
        assert_eq!(of("server").iter().filter(|m| m.until_us.is_some()).count(), 2, "each run is one");
        let volume = of("volume").remove(0);
        assert_eq!(volume.until_us, None, "it stays");
        ask(
            &e,
            "PATCH",
            &format!("/block/v1/zones/fr-par-2/volumes/{}", volume.id),
            json!({"size": 30_000_000_000_i64}),
        );
        e.advance_ms(100_000);
        ask(&e, "DELETE", &format!("/block/v1/zones/fr-par-2/volumes/{}", volume.id), Value::Null);
        e.advance_ms(100_000);
        let sizes: Vec<_> = of("volume").iter().map(|m| (m.quantity, m.until_us.is_some())).collect();
        assert_eq!(sizes, [(10, true), (30, true)]);
    }
}
