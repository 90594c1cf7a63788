//! The store's contract for what is stored sealed, on both databases: secrets and certificate authorities.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_core::time::Timestamp;
use inventiv_store::{AuthorityRow, SecretRow, Store};
use inventiv_testkit::{Database, database};

fn at(n: i64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + n)
}

#[tokio::test]
async fn secrets_are_replaced_by_name_and_sealed_again_only_as_they_were_read() {
    for kind in Database::both() {
        let (url, _home) = database(kind).await;
        let store = Store::open(&url).await.unwrap();
        for (name, sealed, time, is_new) in [("b-c", "1", 1, true), ("b_c", "2", 2, true), ("b-c", "3", 3, false)] {
            assert_eq!(store.put_secret(name, sealed, at(time)).await.unwrap(), is_new);
        }
        let row = |name: &str, sealed: &str, created, updated| SecretRow {
            name: name.into(),
            sealed: sealed.into(),
            created_at: at(created),
            updated_at: at(updated),
        };
        assert_eq!(store.secrets().await.unwrap(), [row("b-c", "3", 1, 3), row("b_c", "2", 2, 2)]);
        assert!(!store.reseal_secret("b-c", "1", "x").await.unwrap(), "it has changed since");
        assert!(store.reseal_secret("b-c", "3", "4").await.unwrap());
        assert_eq!(store.secret("b-c").await.unwrap(), Some(row("b-c", "4", 1, 3)));
        assert_eq!(
            (store.delete_secret("b-c").await.unwrap(), store.delete_secret("b-c").await.unwrap()),
            (true, false)
        );
        assert_eq!((store.secret("b-c").await.unwrap(), store.secrets().await.unwrap().len()), (None, 1));
    }
}

#[tokio::test]
async fn of_several_replicas_that_begin_an_authority_all_get_the_same() {
    for kind in Database::both() {
        let (url, _home) = database(kind).await;
        let store = Store::open(&url).await.unwrap();
        let row = |n: i64| AuthorityRow {
            id: "worker".into(),
            certificate_pem: format!("certificate {n}"),
            sealed_key: format!("key {n}"),
            created_at: at(n),
        };
        assert_eq!(store.authority("worker").await.unwrap(), None);
        let rows: Vec<AuthorityRow> = (1..=8).map(row).collect();
        let all = futures::future::join_all(rows.iter().map(|row| store.begin_authority(row))).await;
        let first = store.authority("worker").await.unwrap().unwrap();
        assert!(rows.contains(&first) && all.iter().all(|got| got.as_ref().unwrap() == &first), "{all:?}");
        assert!(!store.reseal_authority("worker", "other", "x").await.unwrap(), "it has changed since");
        assert!(store.reseal_authority("worker", &first.sealed_key, "x").await.unwrap());
        let resealed = AuthorityRow { sealed_key: "x".into(), ..first };
        assert_eq!(store.authority("worker").await.unwrap(), Some(resealed));
    }
}
