//! Options for behaviour that no recording shows.

use super::*;

#[test]
fn each_option_for_unrecorded_behaviour_has_its_effect() {
    type Try = fn(&Emulator) -> Value;
    let table: [(&str, Value, Try, Value, Value); 9] = [
        ("delete_running_server", json!(true), |e| json!(running_then(e, "DELETE", "").0), json!(400), json!(204)),
        (
            "terminate_stopped_server",
            json!(true),
            |e| {
                let path = format!("{INSTANCE}/servers/{}/action", server(e));
                json!(ask(e, "POST", &path, Some(json!({"action": "terminate"}))).0)
            },
            json!(400),
            json!(202),
        ),
        (
            "delete_in_use_block_volume",
            json!("accepted"),
            |e| {
                let id = server(e);
                let (_, s) = ask(e, "GET", &format!("{INSTANCE}/servers/{id}"), None);
                e.advance_ms(10_000);
                let volume = s["server"]["volumes"]["0"]["id"].as_str().unwrap().to_owned();
                json!(ask(e, "DELETE", &format!("{BLOCK}/{volume}"), None).0)
            },
            json!(412),
            json!(204),
        ),
        (
            "block_tags_by_patch",
            json!(false),
            |e| {
                let id = volume(e, "v");
                ask(e, "PATCH", &format!("{BLOCK}/{id}"), Some(json!({"tags": ["t"]}))).1["tags"].clone()
            },
            json!(["t"]),
            json!([]),
        ),
        (
            "block_name_exact",
            json!(true),
            |e| {
                volume(e, "abc");
                ask(e, "GET", &format!("{BLOCK}?name=ab"), None).1["total_count"].clone()
            },
            json!(1),
            json!(0),
        ),
        (
            "server_tags_any",
            json!(true),
            |e| {
                let id = server(e);
                ask(e, "PATCH", &format!("{INSTANCE}/servers/{id}"), Some(json!({"tags": ["a"]})));
                let (_, found) = ask(e, "GET", &format!("{INSTANCE}/servers?tags=a,b"), None);
                json!(found["servers"].as_array().unwrap().len())
            },
            json!(0),
            json!(1),
        ),
        (
            "user_data_max",
            json!(3),
            |e| {
                let path = format!("{INSTANCE}/servers/{}/user_data/cloud-init", server(e));
                json!(ask(e, "PATCH", &path, Some(json!("long"))).0)
            },
            json!(204),
            json!(400),
        ),
        (
            "lingers_stopped_after_terminate",
            json!(true),
            |e| {
                let (_, id) = running_then(e, "POST", "/action");
                e.advance_ms(6_000);
                state_of(e, &id)
            },
            Value::Null,
            json!("stopped"),
        ),
        (
            "stock_refusal",
            json!("fall_back"),
            |e| {
                let stock = json!({"out_of_stock": [{"zone": "fr-par-2", "type": "PLAY2-PICO"}]});
                let id = server(e);
                ask(e, "PATCH", "/_emulator/options", Some(stock));
                let path = format!("{INSTANCE}/servers/{id}/action");
                let status = ask(e, "POST", &path, Some(json!({"action": "poweron"}))).0;
                e.advance_ms(60_000);
                json!([status, state_of(e, &id)])
            },
            json!([202, "running"]),
            json!([202, "stopped"]),
        ),
    ];
    for (option, value, what, without, with) in table {
        let e = emulator();
        assert_eq!(what(&e), without, "{option}: default");
        let e = emulator();
        let (status, body) = ask(&e, "PATCH", "/_emulator/options", Some(json!({ option: value })));
        assert_eq!((status, &body[option]), (200, &value), "{body}");
        assert_eq!(what(&e), with, "{option}: changed");
    }
}

/// Starts a server and sends it one more request; returns the status and the server's id.
fn running_then(e: &Emulator, method: &str, rest: &str) -> (u16, String) {
    let id = server(e);
    let path = format!("{INSTANCE}/servers/{id}");
    ask(e, "POST", &format!("{path}/action"), Some(json!({"action": "poweron"})));
    e.advance_ms(60_000);
    let body = (!rest.is_empty()).then(|| json!({"action": "terminate"}));
    (ask(e, method, &format!("{path}{rest}"), body).0, id)
}
