//! What stands behind a URL map of Google's load balancers: backend services, the serverless network endpoint groups that
//! they name, and the Cloud Run services of those, as `gcloud` prints them. Together they say which URL a backend service
//! is, and for which audience it is called.
//!
//! ```text
//! URL map ──service──▶ BackendService ──group──▶ NetworkEndpointGroup ──service, tag or URL mask──▶ CloudRunService
//! ```

mod backend_service;
mod cloud_run_service;
mod format;
mod network_endpoint_group;
mod resolve;
mod url_mask;

pub use backend_service::{BackendService, GroupReference, PolicyReference};
pub use cloud_run_service::CloudRunService;
pub use format::{BACKEND_SERVICE, CLOUD_RUN_SERVICE, NETWORK_ENDPOINT_GROUP};
pub use network_endpoint_group::{GroupTarget, NetworkEndpointGroup};
pub use resolve::{Destination, LoadBalancer, MaskedService, ServiceEndpoint};
pub use url_mask::{MaskError, UrlMask};

#[cfg(test)]
mod tests;
