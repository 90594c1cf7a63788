//! Tests of `home.rs`.

use super::described;

#[test]
fn a_database_is_described_without_what_is_secret() {
    for (url, shown) in [
        ("sqlite:/var/lib/x.db", "sqlite:/var/lib/x.db"),
        ("postgres://me:pass@db.example:5432/x?sslmode=require&password=p", "postgres://db.example:5432/x"),
        ("postgres://me:p@ss@db/x", "postgres://db/x"),
        ("postgresql:///x?host=/run&password=p", "postgresql:///x"),
    ] {
        assert_eq!(described(url), shown);
    }
}
