//! Tests of `sealed.rs`.

use super::*;
use inventiv_core::time::Timestamp;
use inventiv_keyring::webhook::Endpoint;
use inventiv_store::{AuthorityRow, WebhookRow};

#[tokio::test]
async fn what_an_older_key_sealed_is_sealed_again_and_wrong_keys_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}", folder.path().join("x.db").display())).await.unwrap();
    let path = folder.path().join("key");
    let old = Keyring::read_or_create(&path).unwrap();
    bring_up_to_date(&store, &old).await.unwrap();
    let seal = |context: &str| old.seal(context, b"plain").unwrap();
    for name in ["a", "b"] {
        store.put_secret(name, &seal(&secret_context(name)), Timestamp(1)).await.unwrap();
    }
    let hook = WebhookRow {
        id: WebhookId::new(1),
        name: "on-call".into(),
        sealed: Endpoint::generate("https://example.com").unwrap().seal(&old, WebhookId::new(1).as_str()).unwrap(),
        shown_url: "https://example.com".into(),
        kinds: Vec::new(),
        takes_all: true,
        created_at: Timestamp(1),
    };
    store.add_webhook(&hook).await.unwrap();
    let new = Keyring::rotate(&path).unwrap();
    bring_up_to_date(&store, &new).await.unwrap();
    let sealed = store.webhooks().await.unwrap().remove(0).sealed;
    assert!(new.seals_with_newest(&sealed));
    assert_eq!(*Endpoint::open(&new, hook.id.as_str(), &sealed).unwrap().url, "https://example.com");
    for name in ["a", "b"] {
        let row = store.secret(name).await.unwrap().unwrap();
        assert!(new.seals_with_newest(&row.sealed));
        assert_eq!(new.open(&secret_context(name), &row.sealed).unwrap().as_slice(), b"plain");
        assert_eq!(row.updated_at, Timestamp(1), "the value is the same");
    }
    // Nothing opens.
    let other = Keyring::generate().unwrap();
    let refused = bring_up_to_date(&store, &other).await.unwrap_err();
    assert!(refused.code == 4 && refused.message.contains(&new.newest_id()), "{}", refused.message);
    // One secret is damaged: the others go on.
    store.put_secret("a", "v1:damaged", Timestamp(2)).await.unwrap();
    bring_up_to_date(&store, &new).await.unwrap();
    assert_eq!(store.secret("a").await.unwrap().unwrap().sealed, "v1:damaged");
    // A certificate authority must open, and is sealed again.
    let row = AuthorityRow {
        id: "worker".into(),
        certificate_pem: "pem".into(),
        sealed_key: seal(&authority_context("worker")),
        created_at: Timestamp(3),
    };
    store.begin_authority(&row).await.unwrap();
    bring_up_to_date(&store, &new).await.unwrap();
    let stored = store.authority("worker").await.unwrap().unwrap();
    assert!(new.seals_with_newest(&stored.sealed_key));
    let newer = Keyring::generate().unwrap();
    store.put_secret("a", &newer.seal(&secret_context("a"), b"x").unwrap(), Timestamp(4)).await.unwrap();
    assert!(bring_up_to_date(&store, &newer).await.unwrap_err().message.contains("authority worker"));
}
