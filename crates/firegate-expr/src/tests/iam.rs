use super::{request, said};
use crate::{Dialect, Language};

fn check(text: &str, expected: &str) {
    assert_eq!(said(text, Language::IamCondition, Dialect::Gcloud, &request()), expected, "{text}");
    assert_eq!(said(text, Language::IamCondition, Dialect::Firegate, &request()), expected, "{text}");
}

/// <https://cloud.google.com/iam/docs/conditions-attribute-reference>
#[test]
fn googles_attributes_and_functions_are_there() {
    check("request.time < timestamp('2027-01-01T00:00:00Z')", "true");
    check("request.time > timestamp('2027-01-01T00:00:00Z')", "false");
    check(
        "request.time.getHours('Europe/Berlin') >= 9 && request.time.getHours('Europe/Berlin') <= 17",
        "true",
    );
    check("request.time.getDayOfWeek('Europe/Berlin') == 1", "true");
    check("request.time.getDayOfWeek() >= 1 && request.time.getDayOfWeek('UTC') <= 5", "true");
    check(
        "request.time.getFullYear() == 2026 && request.time.getMonth() == 10 && request.time.getDate() == 2",
        "true",
    );
    check("request.time.getMinutes('+05:30') == 0", "true");
    check("request.time - timestamp('2026-11-02T00:00:00Z') < duration('12h')", "true");
    check("request.time < timestamp('2026-11-02T00:00:00Z') + duration('36000s')", "false");
    check("duration('90m').getHours() == 1", "true");
    check("request.host == 'api.example.com' && request.path.startsWith('/api/')", "true");
    check(
        "resource.service == 'run.googleapis.com' && resource.type == 'run.googleapis.com/Service'",
        "true",
    );
    check("resource.name.startsWith('projects/p/') && resource.name.endsWith('/services/api')", "true");
    check("resource.name.extract('/services/{name}') == 'api'", "true");
    check("resource.name.extract('locations/{location}/') == 'europe-west1'", "true");
    check("resource.name.extract('/nothing/{x}/') == ''", "true");
    check("destination.ip == ''", "true");
    check("destination.port == 443", "error: no such key");
    check("'accessPolicies/1/accessLevels/a' in request.auth.access_levels", "false");
    check(
        "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/run.invoker'])",
        "true",
    );
    check("api.getAttribute('x', ['roles/owner']).hasOnly(['roles/run.invoker'])", "false");
    check("api.getAttribute('storage.googleapis.com/objectListPrefix', '') == ''", "true");
    check("resource.matchTag('123/env', 'prod')", "unknown: resource.matchTag");
    check("resource.hasTagKeyId('tagKeys/1') || request.host == 'api.example.com'", "true");
    check("resource.type == 'x' ? resource.name == 'y' : request.path.contains('Users')", "true");
    check("request.path.matches('^/api/(a|Users)/[0-9]+$')", "true");
    check("request.host in ['api.example.com', 'x']", "true");
    check("'b' > 'a'", "true");
    check("timestamp(request.host) > request.time", "error: invalid time");
}
