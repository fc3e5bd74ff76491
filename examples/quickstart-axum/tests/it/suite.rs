//! The cases that every framework must answer alike.

use std::path::Path;

const QUICKSTART: &str = env!("CARGO_BIN_EXE_quickstart-axum");

#[test]
fn every_case_is_answered_as_it_is_written() {
    let cases = token_http_suite::play(Path::new(QUICKSTART));
    assert!(cases >= 150, "only {cases} cases");
}

#[test]
fn every_page_of_a_visit_is_served_as_it_is_written() {
    let requests = token_http_suite::play_pages(Path::new(QUICKSTART));
    assert!(requests >= 40, "only {requests} requests");
}

#[test]
fn every_wrapper_that_breaks_pages_is_found_out() {
    let broken = token_http_suite::play_broken_pages(Path::new(QUICKSTART));
    assert!(broken >= 10, "only {broken} wrappers");
}

#[test]
fn every_broken_wrapper_is_found_out() {
    let broken = token_http_suite::play_broken(Path::new(QUICKSTART));
    assert!(broken >= 30, "only {broken} wrappers");
}

#[test]
fn nginx_lets_through_who_may_and_names_them() {
    token_http_suite::play_gateway(Path::new(QUICKSTART));
}
