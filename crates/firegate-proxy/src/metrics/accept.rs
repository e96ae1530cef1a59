//! Which of the two text formats a client wants.

use http::HeaderMap;
use http::header::ACCEPT;

/// A format of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.0, which Prometheus asks for.
    OpenMetrics,
    /// Prometheus' own text format, version 0.0.4: for everyone else, and for people.
    PrometheusText,
}

impl Format {
    /// The format that a client prefers by its `Accept` headers (RFC 9110, section 12.5.1): OpenMetrics for whoever names
    /// it in a version that is spoken here, and does not like plain text better.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let (mut open_metrics, mut text) = (0, 0);
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let (mut quality, mut version) = (1000, None);
            for (parameter, value) in parts.filter_map(|part| part.split_once('=')) {
                match parameter.trim_end() {
                    "q" => quality = thousandths(value.trim_start()),
                    "version" => version = Some(value.trim_start()),
                    _ => {}
                }
            }
            if name.eq_ignore_ascii_case("application/openmetrics-text")
                && version.is_none_or(|version| version == "1.0.0")
            {
                open_metrics = open_metrics.max(quality);
            } else if name.eq_ignore_ascii_case("text/plain") {
                text = text.max(quality);
            }
        }
        if open_metrics > 0 && open_metrics >= text { Self::OpenMetrics } else { Self::PrometheusText }
    }

    /// The content type of answers in this format.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::PrometheusText => prometheus_client::encoding::prometheus_text::CONTENT_TYPE,
        }
    }
}

/// A quality between 0 and 1 in thousandths, of which it has no more digits (RFC 9110, section 12.4.2); 0 if it is none.
fn thousandths(quality: &str) -> u32 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "1" if digits => 1000,
        "0" if digits => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn prometheus_gets_open_metrics_and_everyone_else_text() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;\
                          version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, expected) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text; version=1.0.0; q=0.5, text/plain; q=0.5", Format::OpenMetrics),
            ("application/openmetrics-text; q=0.499, text/plain; q=0.5", Format::PrometheusText),
            ("application/openmetrics-text; version=0.0.1", Format::PrometheusText),
            ("application/openmetrics-text; q=0", Format::PrometheusText),
            ("application/openmetrics-text; q=9", Format::PrometheusText),
            ("application/openmetrics-text; q=0.+1", Format::PrometheusText),
            ("application/openmetrics-text-not", Format::PrometheusText),
            ("text/plain; version=0.0.4", Format::PrometheusText),
            ("*/*", Format::PrometheusText),
            ("", Format::PrometheusText),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Format::of(&headers), expected, "{accept}");
        }
        assert_eq!(Format::of(&HeaderMap::new()), Format::PrometheusText);
    }
}
