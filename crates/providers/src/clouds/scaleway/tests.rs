//! The driver against small HTTP servers: what it sends, and how it reads the responses.

use super::credentials;
use super::profile::volume_type;
use super::server::{Page, all_pages};
use super::wire;
use super::{Scaleway, classify_error};
use crate::http::Purpose;
use crate::transport::Real;
use crate::{CloudProvider, Existence, NewServer, NewVolume, VolumeRef};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use inventiv_core::error::{Effect, ErrorKind};
use inventiv_core::observed::ServerState;
use inventiv_core::offer::BootStorage;
use inventiv_core::time::Timestamp;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const ID: &str = "33333333-3333-4333-8333-333333333333";

type Seen = Arc<Mutex<Vec<(String, String, String)>>>;

/// An HTTP server that gives every request the same response and records the requests.
async fn server(status: u16, content_type: &'static str, body: Vec<u8>) -> (Scaleway, Seen) {
    serve(status, content_type, body, true).await
}

/// The same; with `sees`, it shows a security group and a block volume of the project to visibility checks.
async fn serve(status: u16, content_type: &'static str, body: Vec<u8>, sees: bool) -> (Scaleway, Seen) {
    let seen: Seen = Arc::default();
    let remember = seen.clone();
    let app = axum::Router::new().fallback(move |request: Request| {
        let (remember, body) = (remember.clone(), body.clone());
        async move {
            let (parts, sent) = request.into_parts();
            let sent = axum::body::to_bytes(sent, 1 << 20).await.unwrap();
            let line = (parts.method.to_string(), parts.uri.to_string(), String::from_utf8_lossy(&sent).into_owned());
            remember.lock().unwrap().push(line);
            if parts.uri.path().ends_with("/security_groups") {
                let shown = if sees { r#"{"project":"11111111-1111-4111-8111-111111111111"}"# } else { "" };
                let groups = format!(r#"{{"security_groups":[{shown}]}}"#);
                return Response::builder()
                    .header("content-type", "application/json")
                    .body(Body::from(groups))
                    .unwrap();
            }
            if sees && parts.uri.query().is_some_and(|q| q.contains("page_size=2&")) {
                let shown = r#"{"volumes":[{"id":"55555555-5555-4555-8555-555555555555"}],"total_count":1}"#;
                return Response::builder().header("content-type", "application/json").body(Body::from(shown)).unwrap();
            }
            let mut response = Response::builder().status(status).header("x-total-count", "1");
            if !content_type.is_empty() {
                response = response.header("content-type", content_type);
            }
            response.body(Body::from(body)).unwrap()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (client(&format!("http://{address}")), seen)
}

fn client(url: &str) -> Scaleway {
    let env = |name: &str| match name {
        "SCW_SECRET_KEY" => Some("22222222-2222-4222-8222-222222222222".to_owned()),
        "SCW_DEFAULT_PROJECT_ID" => Some("11111111-1111-4111-8111-111111111111".to_owned()),
        "SCW_API_URL" => Some(url.to_owned()),
        _ => None,
    };
    let credentials = credentials::read(&env, None).unwrap();
    Scaleway::new(&credentials, Arc::new(Real::new(url, false).unwrap()), 1e6, Arc::new(|| Timestamp(1)))
}

fn block_volume() -> Value {
    json!({"id": ID, "name": "n", "status": "creating", "size": 21_000_000_000_i64, "references": [],
        "specs": {"perf_iops": 5000, "class": "sbs"}, "created_at": "2026-07-30T12:53:14.344463Z"})
}

fn new_server() -> NewServer {
    NewServer {
        name: "iva-x".into(),
        tags: vec!["t".into()],
        instance_type: "L4-1-24G".into(),
        image: ID.into(),
        boot_storage: BootStorage::Block,
        user_data: None,
    }
}

#[tokio::test]
async fn sizes_travel_as_bytes_of_whole_gb_rounded_up() {
    let (cloud, seen) = server(200, "application/json", block_volume().to_string().into_bytes()).await;
    let new = NewVolume { name: "n".into(), tags: vec![], size_bytes: 20_000_000_001, perf_iops: Some(15_000) };
    let made = cloud.create_volume("fr-par-1", &new).await.unwrap();
    assert_eq!(made.value.id, ID);
    let volume = VolumeRef::new(ID, volume_type("sbs_volume"));
    cloud.resize_volume("fr-par-1", &volume, 30_500_000_000).await.unwrap();
    let seen = seen.lock().unwrap();
    let body: Value = serde_json::from_str(&seen[0].2).unwrap();
    assert_eq!(seen[0].1, "/block/v1/zones/fr-par-1/volumes");
    assert_eq!(body["from_empty"]["size"], 21_000_000_000_i64);
    assert_eq!(body["perf_iops"], 15_000);
    assert_eq!(body["project_id"], "11111111-1111-4111-8111-111111111111");
    assert_eq!(seen[1].2, r#"{"size":31000000000}"#);
}

#[tokio::test]
async fn a_speed_that_does_not_exist_is_refused_before_anything_is_sent() {
    let (cloud, seen) = server(200, "application/json", block_volume().to_string().into_bytes()).await;
    let new = NewVolume { name: "n".into(), tags: vec![], size_bytes: 1, perf_iops: Some(7_000) };
    let error = cloud.create_volume("fr-par-1", &new).await.unwrap_err();
    assert_eq!((error.kind, error.effect), (ErrorKind::Refused, Effect::None));
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_kind_of_volume_is_deleted_by_the_api_that_owns_it() {
    let (cloud, seen) = server(204, "application/json", Vec::new()).await;
    for kind in ["sbs_volume", "l_ssd", "scratch"] {
        cloud.delete_volume("fr-par-1", &VolumeRef::new(ID, volume_type(kind))).await.unwrap();
    }
    let paths: Vec<String> = seen.lock().unwrap().iter().map(|(m, p, _)| format!("{m} {p}")).collect();
    let local = format!("DELETE /instance/v1/zones/fr-par-1/volumes/{ID}");
    assert_eq!(paths, [format!("DELETE /block/v1/zones/fr-par-1/volumes/{ID}"), local.clone(), local]);
}

#[tokio::test]
async fn a_creation_is_sent_once_whatever_comes_back() {
    let not_json = b"<html>".to_vec();
    let cut = br#"{"server":{"id":"333"#.to_vec();
    for (status, content_type, body) in [
        (500, "application/json", br#"{"message":"Internal error","type":"internal_server_error"}"#.to_vec()),
        (
            503,
            "application/json",
            br#"{"message":"resource is out of stock","resource":"L4","type":"out_of_stock"}"#.to_vec(),
        ),
        (502, "text/html", not_json.clone()),
        (201, "application/json", cut),
        (201, "text/html", not_json),
        (201, "application/json", vec![b' '; crate::transport::ANSWER_MAX + 1]),
    ] {
        let (cloud, seen) = server(status, content_type, body).await;
        let error = cloud.create_server("fr-par-1", &new_server()).await.unwrap_err();
        assert_eq!(error.effect, Effect::Unknown, "{status}: {error}");
        let stock = status == 503;
        assert_eq!(error.kind == ErrorKind::OutOfStock, stock, "{status}: {error}");
        assert_eq!(seen.lock().unwrap().len(), 1, "{status}: sent again");
    }
}

#[test]
fn words_about_stock_are_read_whatever_the_status_and_no_others_are() {
    let reported = |purpose, status: u16, kind: &str, body: &str| {
        classify_error::classify_error(purpose, status, kind, body.as_bytes()).kind
    };
    let stock =
        |status: u16, kind: &str, body: &str| reported(Purpose::Create, status, kind, body) == ErrorKind::OutOfStock;
    let own = |kind: &str, message: &str| json!({"type": kind, "message": message}).to_string();
    let says = [
        "resource is out of stock",
        "L4-1-24G is Out Of Stock in fr-par-2",
        "There is a shortage of this type",
        "Insufficient capacity for the requested server",
        "not enough capacity",
        "No hypervisor left: capacity exhausted",
        "there are not enough compute resources in this zone",
        "no stock left",
        "server type is sold out",
    ];
    for status in [400, 409, 412, 500, 502, 503, 504] {
        for message in says {
            for kind in ["precondition_failed", "internal_server_error", "invalid_request_error", "unknown"] {
                assert!(stock(status, "application/json", &own(kind, message)), "{status} {kind}: {message}");
            }
            // A gateway's plain text, and JSON that is not a Scaleway error.
            assert!(stock(status, "text/plain", message), "{status}: {message}");
            assert!(stock(status, "application/json", &json!({"error": message}).to_string()), "{status}: {message}");
        }
        for (kind, message) in [
            ("quotas_exceeded", "quota exceeded: no capacity left in your quota"),
            ("invalid_arguments", "size: the capacity must be at least 10 GB"),
            ("precondition_failed", "resource is not in a state that allows this"),
            ("internal_server_error", "service unavailable"),
            ("precondition_failed", "the volume is not available"),
            ("not_found", "resource is not found"),
        ] {
            assert!(!stock(status, "application/json", &own(kind, message)), "{status} {kind}: {message}");
        }
        for page in [
            "<html>502 Bad Gateway</html>",
            "<p>Service Unavailable: the server cannot service your request due to maintenance downtime or capacity problems</p>",
            "<p>out of stock</p>",
        ] {
            assert!(!stock(status, "text/html; charset=iso-8859-1", page), "{status}: {page}");
            assert!(!stock(status, "text/plain", page.trim_start_matches("<p>out of stock</p>")), "{status}: {page}");
        }
        // Calls that need no server are refused for other reasons; a start needs one.
        for purpose in [Purpose::Read, Purpose::Change] {
            assert_ne!(reported(purpose, status, "text/plain", says[0]), ErrorKind::OutOfStock, "{status}");
        }
        assert_eq!(reported(Purpose::Start, status, "text/plain", says[0]), ErrorKind::OutOfStock, "{status}");
    }
    for (status, kind) in
        [(401, ErrorKind::Unauthorized), (403, ErrorKind::Unauthorized), (429, ErrorKind::RateLimited)]
    {
        assert_eq!(reported(Purpose::Create, status, "application/json", &own("x", says[0])), kind);
        assert_eq!(reported(Purpose::Create, status, "text/plain", says[0]), kind);
    }
    // The effect of a creation is known after a 4xx; after a 5xx, a listing shows it.
    let effect = |status| {
        classify_error::classify_error(Purpose::Create, status, "application/json", own("x", says[0]).as_bytes()).effect
    };
    assert_eq!((effect(412), effect(500)), (Effect::None, Effect::Unknown));
}

#[test]
fn addresses_of_both_families_are_read_and_the_own_ipv4_is_first() {
    let ip =
        |address: &str, family: &str, dynamic: bool| json!({"address": address, "family": family, "dynamic": dynamic});
    let (own4, own6) = (ip("10.0.0.1", "inet", true), ip("2001:db8::1", "inet6", true));
    let (other4, other6) = (ip("10.0.0.9", "inet", false), ip("2001:db8::9", "inet6", false));
    for (shown, public_ip, wanted) in [
        (vec![], Value::Null, vec![]),
        (vec![&own6], own6.clone(), vec!["2001:db8::1"]),
        (vec![&own6], Value::Null, vec!["2001:db8::1"]),
        (vec![&other6], Value::Null, vec!["2001:db8::9"]),
        (vec![&own6, &own4], own6.clone(), vec!["10.0.0.1", "2001:db8::1"]),
        (vec![&other6, &other4, &own4], own4.clone(), vec!["10.0.0.1", "10.0.0.9", "2001:db8::9"]),
        (vec![&own6], own4.clone(), vec!["10.0.0.1", "2001:db8::1"]),
        (vec![&own4], own6.clone(), vec!["10.0.0.1", "2001:db8::1"]),
        (vec![], own4.clone(), vec!["10.0.0.1"]),
    ] {
        let server = wire::server(
            &json!({"id": ID, "state": "running", "volumes": {}, "public_ips": shown, "public_ip": public_ip}),
        );
        assert_eq!(server.addresses, wanted, "{shown:?} {public_ip}");
        assert_eq!(server.ip_address(), wanted.first().copied());
    }
}

#[tokio::test]
async fn a_refused_connection_had_no_effect_and_names_no_secret() {
    let error = client("http://127.0.0.1:1").create_server("fr-par-1", &new_server()).await.unwrap_err();
    assert_eq!((error.kind, error.effect), (ErrorKind::Unavailable, Effect::None), "{error}");
    assert!(!format!("{error:?}").contains("22222222"));
}

#[tokio::test]
async fn only_a_typed_not_found_for_our_own_id_means_gone() {
    let body = |resource: &str, id: &str| {
        json!({"message": "resource is not found", "resource": resource, "resource_id": id, "type": "not_found"})
            .to_string()
    };
    let cases = [
        (404, "application/json", body("volume", ID), true),
        (404, "application/json", body("volume", "44444444-4444-4444-8444-444444444444"), false),
        (404, "application/json", body("instance_volume", ID), false),
        (404, "text/html", "<html>not found</html>".to_owned(), false),
        (404, "", String::new(), false),
        (
            401,
            "application/json",
            r#"{"message":"authentication is denied","type":"denied_authentication"}"#.to_owned(),
            false,
        ),
        (
            403,
            "application/json",
            r#"{"message":"insufficient permissions","type":"permissions_denied"}"#.to_owned(),
            false,
        ),
        (429, "", String::new(), false),
        (500, "application/json", r#"{"message":"Internal error","type":"internal_server_error"}"#.to_owned(), false),
    ];
    let volume = VolumeRef::new(ID, volume_type("sbs_volume"));
    for (status, content_type, body, gone) in cases {
        let (cloud, _) = server(status, content_type, body.into_bytes()).await;
        let answer = cloud.volume("fr-par-1", &volume).await;
        assert_eq!(matches!(answer, Ok(Existence::Gone(_))), gone, "{status} {content_type}: {answer:?}");
        assert_eq!(answer.is_err(), !gone, "{status} {content_type}: an inconclusive read must be an error");
    }
    // Credentials that cannot see the project get this response for everything.
    let (cloud, _) = serve(404, "application/json", body("volume", ID).into_bytes(), false).await;
    let error = cloud.volume("fr-par-1", &volume).await.unwrap_err();
    assert!(error.kind == ErrorKind::Unwitnessed && error.to_string().contains("credentials"), "{error}");
    // Credentials that could delete the volume need no further proof of visibility.
    let deleted = VolumeRef { deletion_accepted: true, ..volume };
    assert!(matches!(cloud.volume("fr-par-1", &deleted).await, Ok(Existence::Gone(_))));
}

/// Every malformation of every field, at every depth.
fn oddities(row: &Value) -> Vec<Value> {
    let odd = [Value::Null, json!(7), json!("x"), json!([7]), json!({"x": 7}), json!(true)];
    let mut all = Vec::new();
    let Some(fields) = row.as_object() else { return odd.to_vec() };
    for (key, value) in fields {
        let mut without = fields.clone();
        without.remove(key);
        all.push(Value::Object(without));
        let deeper = match value {
            Value::Array(items) => items.iter().flat_map(oddities).map(|v| json!([v])).collect(),
            Value::Object(_) => oddities(value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for v in odd.iter().cloned().chain(deeper) {
            let mut with = fields.clone();
            with.insert(key.clone(), v);
            all.push(Value::Object(with));
        }
    }
    all.extend(odd);
    all
}

#[test]
fn an_odd_row_hides_no_other_and_nothing_is_decided_upon_it() {
    let server = json!({"id": ID, "name": "n", "state": "running", "allowed_actions": ["terminate"],
        "volumes": {"0": {"id": ID, "boot": true, "volume_type": "l_ssd", "name": "v", "size": 1}},
        "public_ips": [{"address": "10.0.0.1", "family": "inet", "dynamic": true}], "public_ip": {"address": "10.0.0.1"},
        "image": {"name": "img"}, "creation_date": "2026-07-30T12:53:14Z", "commercial_type": "L4-1-24G", "tags": ["t"]});
    let local = json!({"id": ID, "name": "n", "volume_type": "l_ssd", "size": 1, "state": "available",
        "server": {"id": ID}, "tags": ["t"], "creation_date": "2026-07-30T12:53:14Z"});
    let block = json!({"id": ID, "name": "n", "size": 1, "status": "in_use", "specs": {"perf_iops": 5000}, "tags": ["t"],
        "references": [{"product_resource_type": "instance_server", "product_resource_id": ID, "status": "attached"}],
        "created_at": "2026-07-30T12:53:14Z"});
    let mut read = 0;
    for (kind, good) in [("server", &server), ("local", &local), ("block", &block)] {
        for odd in oddities(good) {
            let mut rows = vec![good.clone(); 199];
            rows.insert(100, odd.clone());
            let ids: Vec<String> = match kind {
                "server" => rows.iter().map(|r| wire::server(r).id).collect(),
                "local" => rows.iter().map(|r| wire::local(r).id).collect(),
                _ => rows.iter().map(|r| wire::block(r).id).collect(),
            };
            assert_eq!(ids.iter().filter(|id| *id == ID).count(), if odd["id"] == ID { 200 } else { 199 }, "{odd}");
            assert!(ids.iter().all(|id| !id.is_empty()), "{odd}");
            read += 1;
        }
    }
    assert!(read > 300, "{read}");
    // A server whose volumes are not shown must not be removed: one of them may have to be kept.
    let blank = |key: &str| {
        let mut odd = server.clone();
        odd[key] = Value::Null;
        wire::server(&odd)
    };
    assert!(
        matches!(blank("volumes").state, ServerState::Other(_))
            && matches!(blank("state").state, ServerState::Other(_))
    );
    assert_eq!(blank("public_ips").state, ServerState::Running);
    assert_eq!(blank("public_ips").ip_address(), Some("10.0.0.1"));
}

#[tokio::test]
async fn a_listing_that_does_not_add_up_shows_what_is_there_and_proves_nothing_absent() {
    // The header counts one more than the page holds.
    let (cloud, _) = server(200, "application/json", br#"{"servers":[],"volumes":[],"total_count":0}"#.to_vec()).await;
    let inventory = cloud.observe("fr-par-1").await.unwrap();
    assert!(!inventory.complete);
    // For an unconfirmed creation, where absence decides, that is not enough.
    assert_eq!(cloud.find("fr-par-1", "iva-x").await.unwrap_err().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_item_that_moved_to_the_next_page_is_shown_once() {
    let page = |items: Vec<u32>| Page { items, total: 101 };
    let id = |n: &u32| if *n == 7 { "seven" } else { "other" };
    let read = all_pages(id, |number| async move { Ok(page(if number == 1 { vec![7] } else { vec![7, 8] })) }).await;
    let read = read.unwrap();
    assert_eq!((read.items, read.complete), (vec![7, 8], false));
}

#[test]
fn refusals_are_judged_by_type_before_status() {
    let cases: &[(u16, &str, ErrorKind, Effect)] = &[
        (
            503,
            r#"{"message":"resource is out of stock","resource":"L4","type":"out_of_stock"}"#,
            ErrorKind::OutOfStock,
            Effect::Unknown,
        ),
        (
            403,
            r#"{"details":[],"message":"quota(s) exceeded for this resource","type":"quotas_exceeded"}"#,
            ErrorKind::Quota,
            Effect::None,
        ),
        (
            403,
            r#"{"type":"invalid_request_error","message":"Quota exceeded for this resource.","resource":"ips"}"#,
            ErrorKind::Quota,
            Effect::None,
        ),
        (
            400,
            r#"{"help_message":"server should be stopped","message":"precondition is not respected","precondition":"resource_not_usable","type":"precondition_failed"}"#,
            ErrorKind::Conflict,
            Effect::None,
        ),
        (
            412,
            r#"{"precondition":"resource_still_in_use","message":"m","type":"precondition_failed"}"#,
            ErrorKind::Conflict,
            Effect::None,
        ),
        (
            409,
            r#"{"current_state":"configuring","message":"m","type":"transient_state"}"#,
            ErrorKind::Conflict,
            Effect::None,
        ),
        (
            410,
            r#"{"message":"resource has expired","resource":"volume","type":"expired"}"#,
            ErrorKind::NotFound,
            Effect::None,
        ),
        (
            400,
            r#"{"type":"invalid_request_error","message":"Validation Error","fields":{"x":["bad"]}}"#,
            ErrorKind::Refused,
            Effect::None,
        ),
        (500, r#"{"message":"Internal error","type":"server_error"}"#, ErrorKind::Unavailable, Effect::Unknown),
    ];
    for (status, body, kind, effect) in cases {
        let v = classify_error::classify_error(Purpose::Change, *status, "application/json", body.as_bytes());
        assert_eq!((v.kind, v.effect), (*kind, *effect), "{status} {body}: {}", v.message);
    }
}

proptest::proptest! {
    #[test]
    fn no_body_makes_the_judge_panic(status in 300_u16..600, body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = classify_error::classify_error(Purpose::Create, status, "application/json", &body);
        let _ = classify_error::classify_error(Purpose::Create, status, "", &body);
    }
}
