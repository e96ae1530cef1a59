//! Attacks that others have fallen to, one file each, named after the advisory it repeats. Each is sent over a real
//! socket to a front door before a service that says what it got.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../stack/mod.rs"]
mod stack;

mod apisix_cve_2022_29266_error_texts;
mod app_check_and_any_google_account;
mod app_check_tokens;
mod caddy_ghsa_7r4p_identity_header_on_a_public_route;
mod connect_matched_as_a_path;
mod cookie_and_foreign_pages;
mod dns_rebinding_at_the_local_door;
mod envoy_cve_2019_9901_dot_segments;
mod envoy_cve_2021_29492_encoded_slashes;
mod envoy_cve_2022_29226_any_bearer_token;
mod envoy_cve_2023_27487_internal_headers;
mod envoy_cve_2024_45806_private_peers;
mod envoy_cve_2024_45809_key_fetch_in_a_request;
mod envoy_cve_2026_26308_multi_value_headers;
mod envoy_cve_2026_48042_deep_json;
mod envoy_pr_18599_loose_issuers;
mod exchange_beyond_ones_own_rights;
mod exchange_of_what_nobody_handed_over;
mod go_oidc_482_unknown_key_flood;
mod google_accounts_of_anybody;
mod h2c_smuggling_by_upgrade;
mod heimdall_3444_verdicts_of_another_policy;
mod heimdall_cve_2026_42274_encoded_paths;
mod http2_header_flood;
mod http2_host_and_authority;
mod jsonwebtoken_cve_2026_25537_ill_typed_times;
mod oathkeeper_ghsa_4mq7_cached_verdicts;
mod oathkeeper_ghsa_vhr5_forwarded_proto;
mod oauth2_proxy_cve_2025_64484_folded_header_names;
mod oauth2_proxy_ghsa_5hvv_health_check_user_agent;
mod oauth2_proxy_ghsa_7rh7_query_in_public_routes;
mod pingora_cve_2026_2833_bytes_before_the_upgrade;
mod pomerium_cve_2022_24797_metrics_in_public;
mod project;
mod protected_names_in_trailers;
mod revoked_disabled_and_deleted_users;
mod rfc_8725_3_10_received_claims;
mod rfc_8725_3_11_explicit_typing;
mod rfc_8725_3_12_rules_that_exclude_each_other;
mod rfc_8725_3_1_algorithm_confusion;
mod rfc_8725_3_2_appropriate_algorithms;
mod rfc_8725_3_3_every_signature_counts;
mod rfc_8725_3_4_keys_that_prove_nothing;
mod rfc_8725_3_5_keys_that_can_be_guessed;
mod rfc_8725_3_6_compression;
mod rfc_8725_3_7_one_encoding;
mod rfc_8725_3_8_issuer_and_subject;
mod rfc_8725_3_9_audience;
mod site;
mod slow_handshake;
mod slow_preface;
mod tls_early_data;
mod token_as_subprotocol;
mod token_in_the_query;
mod traefik_cve_2024_45410_connection_header;
mod traefik_cve_2026_35051_forwarded_prefix;
mod unsigned_google_token_under_emulator_trust;
