//! Findings about the services that requests name by a URL mask: each of them is looked at, and told of where the file speaks
//! of it.

use super::named_files::findings_in;

const BACKEND_SERVICE: &str = "kind: compute#backendService\nname: shop\nloadBalancingScheme: EXTERNAL_MANAGED\n\
                               backends: [{ group: regions/europe-west1/networkEndpointGroups/shop-neg }]\n";

const GROUP: &str = "name: shop-neg\nregion: europe-west1\nnetworkEndpointType: SERVERLESS\n\
                     cloudRun: { urlMask: '/v1/<service>' }\n";

const EXPORTS: &str = "load_balancer: { backend_services: [lb.yaml], network_endpoint_groups: [neg.yaml], \
                       cloud_run_services: [run.json] }\nproject: my-project\nallow: [allAuthenticatedUsers]\n\
                       assertion: { issuer: https://api.example.com }\n";

const USERS: &str = "service_account: caller@my-project.iam.gserviceaccount.com, workload_identity_provider: \
                     //iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/firebase";

/// What is said of a configuration beside the exports.
fn check(more: &str, expected: &[&str]) {
    let service = |name: &str| {
        serde_json::json!({
            "kind": "Service",
            "metadata": { "name": name, "labels": { "cloud.googleapis.com/location": "europe-west1" } },
            "status": { "url": format!("https://{name}-abc123-ew.a.run.app") },
        })
    };
    let services = serde_json::json!([service("carts"), service("orders"), service("wishes")]).to_string();
    let files = [("lb.yaml", BACKEND_SERVICE), ("neg.yaml", GROUP), ("run.json", &services)];
    assert_eq!(findings_in(&format!("{EXPORTS}{more}"), &files), expected, "{more}");
}

#[test]
fn one_audience_of_two_services_is_told_where_it_is_written() {
    let exchange =
        "exchange: { enabled: true }\nroutes: [{ path: /*, backend: shop }, { path: /api, backend: api }]\n";
    let audience = "backends:\n  api: https://orders-abc123-ew.a.run.app\n  shop:\n    audience: all\n";
    let taken = [(); 3].map(|()| "FG123 firegate.yaml:10");
    let shared = [(); 2].map(|()| "FG108 firegate.yaml:10");
    check(&format!("{exchange}{audience}"), &[&shared[..], &taken].concat());
    // What the exports alone say is told where they are named.
    let same = "backends:\n  api: https://orders-abc123-ew.a.run.app\n";
    check(&format!("{exchange}{same}"), &["FG108 firegate.yaml:1"]);
}

#[test]
fn a_google_audience_is_compared_with_that_of_each_service() {
    for service in ["carts", "orders", "wishes"] {
        let users = format!(
            "routes: [{{ path: /*, backend: shop }}]\nusers: {{ accept: [id_token, google_id_token], \
             google_audiences: ['https://{service}-abc123-ew.a.run.app'] }}\n\
             backends: {{ shop: {{ allow: ['serviceAccount:a@my-project.iam.gserviceaccount.com'] }} }}\n"
        );
        check(&users, &["FG142 firegate.yaml:6"]);
    }
}

#[test]
fn an_account_that_users_have_is_told_of_once_for_all_services() {
    let backends = format!(
        "routes: [{{ path: /*, backend: shop }}, {{ path: /api, backend: api }}]\nbackends:\n  \
         shop: {{ credential: federate_user, {USERS} }}\n  \
         api: {{ url: 'https://a.run.app', credential: impersonate, service_account: caller@my-project.iam.gserviceaccount.com }}\n"
    );
    check(&backends, &["FG128 firegate.yaml:7", "FG128 firegate.yaml:7"]);
}
