//! Tests of `injection.rs`.

use super::*;

#[test]
fn a_call_has_a_row_and_the_faults_that_apply_to_it() {
    let id = "11111111-1111-4111-8111-111111111111";
    let (server, list) =
        (format!("/instance/v1/zones/fr-par-2/servers/{id}"), "/block/v1/zones/fr-par-2/volumes?page=1");
    assert_eq!(row("GET", &server), "GET instance servers/{id}");
    assert_eq!(row("POST", &format!("{server}/action")), "POST instance servers/{id}/action");
    assert_eq!(row("GET", list), "GET block volumes");
    assert_eq!(row("GET", &format!("{list}&name=x")), "GET block volumes?name");
    assert_eq!(row("GET", "/marketplace/v2/local-images?x=1"), "GET marketplace local-images");
    assert!(Kind::NotFound.fits("GET", &server) && !Kind::NotFound.fits("GET", list));
    assert!(Kind::StaleRead.fits("GET", list) && Kind::StaleRead.fits("GET", &server));
    assert!(!Kind::StaleRead.fits("POST", list));
    assert!(!Kind::Late.fits("GET", &server) && Kind::Late.fits("DELETE", &server));
    assert!(Kind::ALL.iter().all(|k| !k.texts().0.is_empty()));
}
