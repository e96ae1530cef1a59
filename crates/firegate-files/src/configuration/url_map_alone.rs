//! The URL map of a configuration in which something else is wrong, so that what its tests say can be told beside that.

use std::collections::BTreeMap;
use std::sync::Arc;

use firegate_expr::Dialect;

use super::model::{Configuration, EncodedSlash, Routing};
use super::named_files::NamedFiles;
use crate::diagnostic::{Diagnostics, YamlPath};
use crate::url_map;
use crate::yaml::{Document, Scalar, Value};

/// The backend that stands for every service of the map. Nothing is ever sent there.
const STAND_IN: (&str, &str) = ("url-map-tests", "https://stand-in.invalid");

/// A configuration that has the URL map of this one and nothing else of it, if the map by itself is sound. Its backends stand
/// in for those that the map names.
pub fn url_map_alone(document: &Document, files: &dyn NamedFiles) -> Option<Configuration> {
    let path = YamlPath::root().key("url_map");
    let text = |path: &YamlPath| match &document.get(path)?.value {
        Value::Scalar(Scalar { text, .. }) => Some(text.to_string()),
        Value::Sequence(_) | Value::Mapping(_) => None,
    };
    let name = text(&path).or_else(|| text(&path.key("file")))?;
    let dialect = match text(&path.key("dialect")).as_deref() {
        Some("firegate") => Dialect::Firegate,
        _ => Dialect::Gcloud,
    };
    let map = files.read(name.as_ref()).ok()?;
    let map = url_map::parse(&name, &map, dialect, None, &mut Diagnostics::new())?;
    let (project, url) = STAND_IN;
    let configuration = Configuration::minimal(project, url, &["allUsers".to_owned()]).ok()?;
    let mut stand_in = configuration.backends.values().next()?.clone();
    // Whether such a path is refused, its own backend says.
    stand_in.encoded_slash = EncodedSlash::Forward;
    let backends = map.services().map(|service| Some((service.as_str().parse().ok()?, stand_in.clone())));
    let backends = backends.collect::<Option<BTreeMap<_, _>>>()?;
    Some(Configuration { backends, routing: Routing::UrlMap(Arc::new(map)), ..configuration })
}
