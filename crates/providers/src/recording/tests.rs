//! Tests of `recording.rs`.

use super::*;
use std::io::Read;

/// Responds with a fixed body and a cookie.
struct Fixed(&'static str);

#[async_trait]
impl Transport for Fixed {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let answer = http::Response::builder().status(200).header("set-cookie", "biscuit");
        let answer = answer.header("content-type", "application/json").header("x-total-count", "3");
        Ok(answer.body(Bytes::from_static(self.0.as_bytes())).unwrap())
    }

    async fn pause(&self, _: Duration) {}

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// The recording of a call.
async fn recorded(request: http::Request<Bytes>, answer: &'static str) -> (String, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl.gz");
    let record = || {
        let secrets = vec![SecretString::from("k\"ey")];
        Recording::new(Arc::new(Fixed(answer)), &path, |name| name.starts_with("mine-"), secrets)
    };
    let recording = record().unwrap();
    recording.send(request).await.unwrap();
    recording.finish().unwrap();
    assert!(record().is_err(), "nothing is overwritten");
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
    let line = serde_json::from_str(text.trim()).unwrap();
    (text, line)
}

fn get(uri: &str) -> http::Request<Bytes> {
    http::Request::get(uri).header("x-auth-token", "hush").body(Bytes::new()).unwrap()
}

#[tokio::test]
async fn an_exchange_is_written_down_without_its_secrets() {
    let answer = r#"{"id":"x","Secret_Key":"abc","inner":[{"adminPassword":"pw"}],"tokens":{"a":["tk"]},
        "message":"the k\"ey is bad","token_expires":null}"#;
    let (text, line) = recorded(get("/instance/v1/zones/fr-par-1/servers?tags=a&tags=b"), answer).await;
    for secret in ["hush", "abc", "pw", "tk", "k\\\"ey", "biscuit"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!(line["request"]["query"]["tags"], json!(["a", "b"]));
    assert_eq!(line["response"]["body"]["Secret_Key"], BLACK);
    assert_eq!(line["response"]["body"]["message"], "the REDACTED is bad");
    assert_eq!(line["response"]["body"]["token_expires"], Value::Null, "null is not private");
}

#[tokio::test]
async fn what_else_a_project_holds_is_left_out_of_lists() {
    let answer = r#"{"servers":[{"id":"1","name":"payroll","project":"p"},{"id":"2","name":"mine-a","project":"p"},
        {"id":"3","name":"mail","project":"p"}],"total_count":3}"#;
    let (text, line) = recorded(get("/servers"), answer).await;
    assert!(!text.contains("payroll") && !text.contains("mail"), "{text}");
    assert_eq!(line["response"]["body"]["servers"].as_array().unwrap().len(), 1);
    assert_eq!(line["response"]["body"]["total_count"], 1);
    assert_eq!((&line["response"]["headers"]["x-total-count"], &line["left_out"]), (&json!("1"), &json!(2)));
    let (_, catalogue) = recorded(get("/images"), r#"{"images":[{"id":"1","name":"Ubuntu"}]}"#).await;
    assert_eq!(catalogue["response"]["body"]["images"][0]["name"], "Ubuntu");
    assert_eq!(catalogue.get("left_out"), None);
}

#[tokio::test]
async fn what_was_made_meanwhile_is_kept_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl.gz");
    let below = Fixed(r#"{"volumes":[{"id":"7","name":"boot","project_id":"p"}]}"#);
    let recording = Recording::new(Arc::new(below), &path, |_| false, Vec::new()).unwrap();
    recording.send(http::Request::post("/servers").body(Bytes::new()).unwrap()).await.unwrap();
    recording.send(get("/volumes")).await.unwrap();
    recording.finish().unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("\"boot\"").count(), 2, "{text}");
}

#[tokio::test]
async fn a_disk_that_refuses_is_told_at_the_end() {
    let below = Arc::new(Fixed("{}"));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let file = GzEncoder::new(full, Compression::default());
    let state = Mutex::new(State { file, written: 0, made: HashSet::new(), failed: None });
    let recording = Recording { below, secrets: Vec::new(), own: |_| true, state };
    recording.send(get("/servers")).await.unwrap();
    assert!(recording.finish().is_err());
}
