//! A map's own tests, as they are written.

use super::super::model::MapTest;
use super::{Checker, place};
use crate::diagnostic::code;
use crate::google_file::Located;

impl Checker<'_> {
    pub(super) fn test(&mut self, test: &Located<'_>) -> Option<MapTest> {
        let text = |name: &str| test.get(name).and_then(|text| text.text()).map(str::to_owned);
        let (host, path) = (text("host").unwrap_or_default(), text("path").unwrap_or_default());
        if host.is_empty() || !path.starts_with('/') {
            let name = if host.is_empty() { "host" } else { "path" };
            self.error_in(
                test,
                name,
                code::URL_MAP_TEST,
                format!("the test has no usable `{name}`"),
                "a test asks for a host and a path that begins with `/`",
            );
            return None;
        }
        let redirect_status = test.get("expectedRedirectResponseCode");
        if let Some(status) = redirect_status.as_ref().filter(|_| test.get("service").is_some()) {
            self.error(
                status,
                code::URL_MAP_TEST,
                "`service` and `expectedRedirectResponseCode` exclude each other",
                "a request goes to a service, or it is redirected",
            );
        }
        let redirect_status = redirect_status.and_then(|status| u16::try_from(status.integer()?).ok());
        let service = test.get("service").and_then(|service| self.service(&service));
        let output_url = text("expectedOutputUrl");
        if service.is_none() && output_url.is_none() && redirect_status.is_none() {
            self.error_in(
                test,
                "service",
                code::URL_MAP_TEST,
                "the test expects nothing",
                "add `service`, `expectedOutputUrl` or `expectedRedirectResponseCode`",
            );
            return None;
        }
        let headers = test.list("headers").filter_map(|header| {
            let part = |name: &str| header.get(name).and_then(|text| text.text()).map(str::to_owned);
            Some((part("name")?, part("value").unwrap_or_default()))
        });
        Some(MapTest {
            place: place(test),
            description: text("description").unwrap_or_default(),
            host,
            path,
            headers: headers.collect(),
            service,
            output_url,
            redirect_status,
        })
    }
}
