//! The fields of backend services and network endpoint groups, as the Compute API (v1) documents them, of Cloud Run services,
//! as the Cloud Run Admin API (v1, Knative Serving) does, and what Firegate does with each.

use crate::google_file::{Field, MessageType, Shape};

const TEXTS: Shape = Shape::List(&Shape::Text);

/// Why what speaks of choosing among virtual machines has no effect.
const NO_MACHINES: &str = "Cloud Run chooses among its instances itself";

/// Why the settings of connections have no effect.
const OWN_CONNECTIONS: &str = "the settings of the backend in `firegate.yaml` hold";

/// A backend service.
pub static BACKEND_SERVICE: MessageType = MessageType {
    name: "BackendService",
    kind: Some("compute#backendService"),
    fields: &[
        Field::without_effect("affinityCookieTtlSec", Shape::Integer, NO_MACHINES),
        Field::evaluated("backends", Shape::List(&Shape::Message(&BACKEND))),
        Field::without_effect("cdnPolicy", Shape::Any, "Firegate caches no answers"),
        Field::without_effect("circuitBreakers", Shape::Any, OWN_CONNECTIONS),
        Field::without_effect("compressionMode", Shape::Text, "Firegate compresses no answers"),
        Field::without_effect("connectionDraining", Shape::Any, NO_MACHINES),
        Field::without_effect("consistentHash", Shape::Any, NO_MACHINES),
        Field::output_only("creationTimestamp", Shape::Text),
        Field::evaluated("customRequestHeaders", TEXTS),
        Field::evaluated("customResponseHeaders", TEXTS),
        Field::kept("description", Shape::Text),
        Field::without_effect(
            "edgeSecurityPolicy",
            Shape::Resource,
            "it judges every request before the cache; write its rules into the `security_policy` of the backend",
        ),
        Field::without_effect("enableCDN", Shape::Boolean, "Firegate caches no answers"),
        Field::without_effect("failoverPolicy", Shape::Any, NO_MACHINES),
        Field::kept("fingerprint", Shape::Text),
        Field::without_effect(
            "healthChecks",
            Shape::Any,
            "serverless groups have none; `health_check` of the backend asks other services",
        ),
        Field::without_effect(
            "iap",
            Shape::Any,
            "Firegate identifies users itself, and `allow` says who passes; `identity_headers: iap` tells a service of them as IAP does",
        ),
        Field::output_only("id", Shape::Integer),
        Field::without_effect("ipAddressSelectionPolicy", Shape::Text, OWN_CONNECTIONS),
        Field::output_only("kind", Shape::Text),
        Field::kept("loadBalancingScheme", Shape::Text),
        Field::without_effect("localityLbPolicies", Shape::Any, NO_MACHINES),
        Field::without_effect("localityLbPolicy", Shape::Text, NO_MACHINES),
        Field::without_effect(
            "logConfig",
            Shape::Any,
            "`access_log` says which requests have a line in the log",
        ),
        Field::without_effect(
            "maxStreamDuration",
            Shape::Any,
            "it is for the proxies of a service mesh; `maxStreamDuration` of a URL map's rule is applied",
        ),
        Field::kept("metadatas", Shape::Any),
        Field::evaluated("name", Shape::Text),
        Field::without_effect("network", Shape::Resource, OWN_CONNECTIONS),
        Field::without_effect(
            "outlierDetection",
            Shape::Any,
            "endpoints that fail are left alone by Firegate's own measure",
        ),
        Field::without_effect("port", Shape::Integer, NO_MACHINES),
        Field::kept("portName", Shape::Text),
        Field::without_effect(
            "protocol",
            Shape::Text,
            "Cloud Run is spoken to by HTTPS, in the version that it offers; `protocol` of the backend says otherwise",
        ),
        Field::kept("region", Shape::Resource),
        Field::evaluated("securityPolicy", Shape::Resource),
        Field::without_effect("securitySettings", Shape::Any, OWN_CONNECTIONS),
        Field::output_only("selfLink", Shape::Text),
        Field::output_only("selfLinkWithId", Shape::Text),
        Field::without_effect("serviceBindings", Shape::Any, "it is for a service mesh"),
        Field::without_effect("serviceLbPolicy", Shape::Resource, NO_MACHINES),
        Field::without_effect("sessionAffinity", Shape::Text, NO_MACHINES),
        Field::without_effect("strongSessionAffinityCookie", Shape::Any, NO_MACHINES),
        Field::without_effect("subsetting", Shape::Any, NO_MACHINES),
        Field::without_effect(
            "timeoutSec",
            Shape::Integer,
            "Google has no time-out before serverless groups; `timeouts` of the backend are Firegate's",
        ),
        Field::without_effect("tlsSettings", Shape::Any, OWN_CONNECTIONS),
        Field::output_only("usedBy", Shape::Any),
    ],
};

static BACKEND: MessageType = MessageType {
    name: "Backend",
    kind: None,
    fields: &[
        Field::kept("balancingMode", Shape::Text),
        Field::evaluated("capacityScaler", Shape::Number),
        Field::kept("customMetrics", Shape::Any),
        Field::kept("description", Shape::Text),
        Field::without_effect("failover", Shape::Boolean, NO_MACHINES),
        Field::evaluated("group", Shape::Text),
        Field::kept("maxConnections", Shape::Integer),
        Field::kept("maxConnectionsPerEndpoint", Shape::Integer),
        Field::kept("maxConnectionsPerInstance", Shape::Integer),
        Field::kept("maxRate", Shape::Integer),
        Field::kept("maxRatePerEndpoint", Shape::Number),
        Field::kept("maxRatePerInstance", Shape::Number),
        Field::kept("maxUtilization", Shape::Number),
        Field::without_effect(
            "preference",
            Shape::Text,
            "Firegate prefers the endpoint with the fewest requests",
        ),
    ],
};

/// A network endpoint group.
pub static NETWORK_ENDPOINT_GROUP: MessageType = MessageType {
    name: "NetworkEndpointGroup",
    kind: Some("compute#networkEndpointGroup"),
    fields: &[
        Field::kept("annotations", Shape::Map(&Shape::Text)),
        Field::kept("appEngine", Shape::Any),
        Field::kept("cloudFunction", Shape::Any),
        Field::evaluated("cloudRun", Shape::Message(&CLOUD_RUN)),
        Field::output_only("creationTimestamp", Shape::Text),
        Field::kept("defaultPort", Shape::Integer),
        Field::kept("description", Shape::Text),
        Field::output_only("id", Shape::Integer),
        Field::output_only("kind", Shape::Text),
        Field::evaluated("name", Shape::Text),
        Field::kept("network", Shape::Resource),
        Field::evaluated("networkEndpointType", Shape::Text),
        Field::kept("pscData", Shape::Any),
        Field::kept("pscTargetService", Shape::Text),
        Field::evaluated("region", Shape::Resource),
        Field::output_only("selfLink", Shape::Text),
        Field::output_only("selfLinkWithId", Shape::Text),
        Field::output_only("size", Shape::Integer),
        Field::kept("subnetwork", Shape::Resource),
        Field::kept("zone", Shape::Resource),
    ],
};

static CLOUD_RUN: MessageType = MessageType {
    name: "NetworkEndpointGroupCloudRun",
    kind: None,
    fields: &[
        Field::evaluated("service", Shape::Text),
        Field::evaluated("tag", Shape::Text),
        Field::evaluated("urlMask", Shape::Text),
    ],
};

/// A Cloud Run service.
pub static CLOUD_RUN_SERVICE: MessageType = MessageType {
    name: "Service",
    kind: Some("Service"),
    fields: &[
        Field::kept("apiVersion", Shape::Text),
        Field::kept("kind", Shape::Text),
        Field::evaluated("metadata", Shape::Message(&METADATA)),
        Field::kept("spec", Shape::Any),
        Field::evaluated("status", Shape::Message(&STATUS)),
    ],
};

static METADATA: MessageType = MessageType {
    name: "ObjectMeta",
    kind: None,
    fields: &[
        // `run.googleapis.com/custom-audiences`, `…/ingress`, `…/default-url-disabled` and `…/invoker-iam-disabled` are read.
        Field::evaluated("annotations", Shape::Map(&Shape::Text)),
        Field::kept("creationTimestamp", Shape::Text),
        Field::kept("generation", Shape::Integer),
        // `cloud.googleapis.com/location` is read.
        Field::evaluated("labels", Shape::Map(&Shape::Text)),
        Field::evaluated("name", Shape::Text),
        Field::evaluated("namespace", Shape::Any),
        Field::kept("resourceVersion", Shape::Text),
        Field::kept("selfLink", Shape::Text),
        Field::kept("uid", Shape::Text),
    ],
};

static STATUS: MessageType = MessageType {
    name: "ServiceStatus",
    kind: None,
    fields: &[
        Field::kept("address", Shape::Any),
        Field::kept("conditions", Shape::Any),
        Field::kept("latestCreatedRevisionName", Shape::Text),
        Field::kept("latestReadyRevisionName", Shape::Text),
        Field::kept("observedGeneration", Shape::Integer),
        Field::evaluated("traffic", Shape::List(&Shape::Message(&TRAFFIC_TARGET))),
        Field::evaluated("url", Shape::Text),
    ],
};

static TRAFFIC_TARGET: MessageType = MessageType {
    name: "TrafficTarget",
    kind: None,
    fields: &[
        Field::kept("latestRevision", Shape::Boolean),
        Field::kept("percent", Shape::Integer),
        Field::kept("revisionName", Shape::Text),
        Field::evaluated("tag", Shape::Text),
        Field::evaluated("url", Shape::Text),
    ],
};
