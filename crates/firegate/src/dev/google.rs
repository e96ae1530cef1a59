//! What the local Google knows: three service accounts, who may act as whom, and the provider by which users of the
//! Firebase project are federated.

use std::collections::BTreeSet;
use std::sync::Arc;

use firegate_core::time::SharedClock;
use firegate_emulator::google::{
    AttributeCondition, AttributeMapping, ClaimLiteral, GoogleOptions, Impersonation, ImpersonationRole,
    ServiceAccount, WorkloadIdentityProvider,
};
use firegate_emulator::member::Member;
use firegate_files::configuration::Credential;

use super::Places;
use super::setup::Setup;

/// The front door's own service account: the metadata server speaks for it, and it may call the service.
pub(super) const DOOR: &str = "front-door";
/// The service account that the front door, and federated users, may impersonate. It may call the service.
pub(super) const CALLER: &str = "caller";
/// A service account that may do nothing.
pub(super) const STRANGER: &str = "stranger";

const PROVIDER: &str = "firebase";

pub(super) fn service_account(project: &str, name: &str) -> String {
    // A project under a domain has its accounts under the parts in turn: p.example.com.iam.gserviceaccount.com.
    let project = match project.split_once(':') {
        Some((domain, project)) => format!("{project}.{domain}"),
        None => project.to_owned(),
    };
    format!("{name}@{project}.iam.gserviceaccount.com")
}

/// The service accounts that have `roles/run.invoker` on every local service.
pub(super) fn invokers(setup: &Setup) -> BTreeSet<String> {
    let project = setup.configuration.project.as_str();
    let named = setup.configuration.backends.values().filter_map(|backend| match &backend.credential {
        Credential::Impersonate { service_account } | Credential::FederateUser { service_account, .. } => {
            Some(service_account.to_string())
        }
        Credential::Default | Credential::Metadata | Credential::None => None,
    });
    named.chain([DOOR, CALLER].map(|name| service_account(project, name))).collect()
}

pub(super) fn options(setup: &Setup, places: &Places, clock: &SharedClock) -> anyhow::Result<GoogleOptions> {
    let project = setup.configuration.project.as_str();
    let door = service_account(project, DOOR);
    let invokers = invokers(setup);
    let pool =
        |number: &str, name: &str| format!("projects/{number}/locations/global/workloadIdentityPools/{name}");
    let mut providers = BTreeSet::from([format!(
        "{}/providers/{PROVIDER}",
        pool(&places.project_number, &setup.configuration.users.identity_pool)
    )]);
    providers.extend(setup.configuration.backends.values().filter_map(|backend| match &backend.credential {
        Credential::FederateUser { provider, .. } => {
            Some(provider.as_str().trim_start_matches("//iam.googleapis.com/").to_owned())
        }
        _ => None,
    }));
    let mut impersonations = Vec::new();
    for account in invokers.iter().filter(|account| **account != door) {
        let bind = |member, role| Impersonation { member, service_account: account.clone(), role };
        impersonations.push(bind(Member::ServiceAccount(door.clone()), ImpersonationRole::TokenCreator));
        for provider in &providers {
            let pool = provider.split("/providers/").next().unwrap_or_default();
            let users =
                format!("principalSet://iam.googleapis.com/{pool}/attribute.aud/{project}").parse()?;
            impersonations.push(bind(users, ImpersonationRole::WorkloadIdentityUser));
        }
    }
    let mut jwks_url = places.identity.clone();
    jwks_url.set_path("/www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com");
    let provider = |name: String| -> anyhow::Result<WorkloadIdentityProvider> {
        Ok(WorkloadIdentityProvider {
            name,
            issuer: format!("https://securetoken.google.com/{project}"),
            allowed_audiences: vec![project.to_owned()],
            jwks_url: jwks_url.clone(),
            attribute_mapping: vec![
                AttributeMapping { target: "google.subject".to_owned(), source: "assertion.sub".parse()? },
                AttributeMapping { target: "attribute.aud".to_owned(), source: "assertion.aud".parse()? },
            ],
            // Without a condition every user of the project could federate, those who signed in anonymously too.
            attribute_condition: Some(AttributeCondition::Not(Box::new(AttributeCondition::Equals(
                "assertion.firebase.sign_in_provider".parse()?,
                ClaimLiteral::Text("anonymous".to_owned()),
            )))),
        })
    };
    Ok(GoogleOptions {
        project: project.to_owned(),
        project_number: places.project_number.clone(),
        service_accounts: invokers
            .iter()
            .cloned()
            .chain([service_account(project, STRANGER)])
            .map(ServiceAccount::new)
            .collect(),
        default_service_account: door,
        impersonations,
        app_check_verifiers: invokers.iter().cloned().map(Member::ServiceAccount).collect(),
        workload_identity_providers: providers.into_iter().map(provider).collect::<Result<_, _>>()?,
        authorized_users: Vec::new(),
        base_url: places.google.clone(),
        clock: Arc::clone(clock),
    })
}
