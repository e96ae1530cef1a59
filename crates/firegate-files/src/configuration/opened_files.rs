//! The files that a front door opens when a configuration is put in force: keys, passwords, certificates, and the database of
//! addresses. They come from the tree and not from the model, so that they can be told of while something else is wrong.

use std::path::PathBuf;

use super::model::Certificate;
use crate::diagnostic::YamlPath;
use crate::text::is_contents;
use crate::yaml::{Document, Scalar, ScalarKind, Value};

/// Where the keys are kept that nobody names.
pub(super) const DATA_DIR_DEFAULT: &str = "./firegate-data";

/// A file, and the value that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedFile {
    /// The path of the value.
    pub path: YamlPath,
    /// The file.
    pub file: PathBuf,
}

/// The files of a configuration, as far as they are named in a way that can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenedFiles {
    /// `assertion.key`.
    pub assertion_key: Option<OpenedFile>,
    /// `assertion.previous_keys`.
    pub previous_keys: Vec<OpenedFile>,
    /// `data_dir`, where a key of its own is kept; absent if `assertion.key` is given.
    pub data_dir: Option<OpenedFile>,
    /// `tls.certificates`, each with the path of the pair.
    pub certificates: Vec<(YamlPath, Certificate)>,
    /// `geo.mmdb`.
    pub geo: Option<OpenedFile>,
    /// The `ca_certificates` of backends, by the backends' names.
    pub backend_roots: Vec<(String, OpenedFile)>,
    /// `limits_store.password_file`.
    pub store_password: Option<OpenedFile>,
    /// `limits_store.ca_certificates`.
    pub store_roots: Option<OpenedFile>,
}

impl OpenedFiles {
    /// What this configuration names. What is no text there is left out: it is refused by its type.
    pub fn of(document: &Document) -> Self {
        let root = YamlPath::root();
        let at = |path: YamlPath| opened(document, path);
        let assertion = root.key("assertion");
        let is_given = |path: &YamlPath| document.get(path).is_some();
        let data_dir = root.key("data_dir");
        let data_dir = match is_given(&data_dir) {
            true => at(data_dir),
            false => Some(OpenedFile { path: data_dir, file: DATA_DIR_DEFAULT.into() }),
        };
        let backends = root.key("backends");
        let backend_roots = document.keys(&backends).into_iter().filter_map(|name| {
            let file = at(backends.key(&name).key("ca_certificates"))?;
            Some((name, file))
        });
        let store = root.key("limits_store");
        Self {
            assertion_key: at(assertion.key("key")),
            previous_keys: elements(document, &assertion.key("previous_keys")).filter_map(at).collect(),
            data_dir: data_dir.filter(|_| !is_given(&assertion.key("key"))),
            certificates: elements(document, &root.key("tls").key("certificates"))
                .filter_map(|path| {
                    let (cert, key) = (at(path.key("cert"))?.file, at(path.key("key"))?.file);
                    Some((path, Certificate { cert, key }))
                })
                .collect(),
            geo: at(root.key("geo").key("mmdb")),
            backend_roots: backend_roots.collect(),
            store_password: at(store.key("password_file")),
            store_roots: at(store.key("ca_certificates")),
        }
    }
}

/// The file that the text at `path` names.
fn opened(document: &Document, path: YamlPath) -> Option<OpenedFile> {
    match &document.get(&path)?.value {
        // What is a key and no name of one is refused as such, and never told.
        Value::Scalar(Scalar { text, kind: ScalarKind::Text }) if !text.is_empty() && !is_contents(text) => {
            let file = text.into();
            Some(OpenedFile { path, file })
        }
        Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

/// The paths of the elements of a list; none if there is no list.
fn elements(document: &Document, path: &YamlPath) -> impl Iterator<Item = YamlPath> {
    let count = match document.get(path).map(|node| &node.value) {
        Some(Value::Sequence(nodes)) => nodes.len(),
        _ => 0,
    };
    (0..count).map(|index| path.index(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::parse;
    use crate::diagnostic::Diagnostics;
    use crate::yaml;

    const EVERY_FILE: &str = "project: demo-project
backends:
  api: { url: 'https://api.example.com', ca_certificates: roots.pem }
  web: https://web.example.com
routes: [{ path: /*, backend: api }, { path: /web/*, backend: web }]
allow: [allAuthenticatedUsers]
assertion: { key: assertion.pem, previous_keys: [old.pem, older.pem] }
tls: { certificates: [{ cert: cert.pem, key: key.pem }] }
geo: { mmdb: places.mmdb }
limits_store: { url: 'rediss://10.0.0.3:6379', password_file: password, ca_certificates: store.pem }
";

    fn files(text: &str) -> OpenedFiles {
        OpenedFiles::of(&yaml::parse("firegate.yaml", text, &mut Diagnostics::new()).expect("a tree"))
    }

    #[test]
    fn they_are_the_files_of_the_model() {
        let (found, model) = (files(EVERY_FILE), parse("firegate.yaml", EVERY_FILE).expect("it checks"));
        let OpenedFiles { assertion_key, previous_keys, geo, store_password, store_roots, .. } = &found;
        let named = assertion_key.iter().chain(previous_keys).chain(store_password).chain(store_roots);
        let named = named.chain(geo).map(|named| named.file.as_path()).collect::<Vec<_>>();
        assert_eq!(named, model.key_files().collect::<Vec<_>>());
        let certificates = found.certificates.into_iter().map(|(_, pair)| pair).collect::<Vec<_>>();
        assert_eq!(certificates, model.tls.expect("TLS").certificates);
        let roots = model
            .backends
            .iter()
            .filter_map(|(name, backend)| Some((name.to_string(), backend.ca_certificates.clone()?)));
        let found_roots = found.backend_roots.into_iter().map(|(name, named)| (name, named.file));
        assert_eq!(found_roots.collect::<Vec<_>>(), roots.collect::<Vec<_>>());
        assert_eq!(found.data_dir, None);
    }

    #[test]
    fn keys_that_nobody_names_lie_in_the_data_directory() {
        let data_dir = |text: &str| files(text).data_dir.map(|named| named.file);
        assert_eq!(data_dir("project: demo-project\n"), Some(PathBuf::from(DATA_DIR_DEFAULT)));
        let minimal =
            parse("f", "project: p-12345\nbackends: { api: 'https://a.example' }\nallow: [allUsers]\n");
        assert_eq!(minimal.expect("it checks").data_dir, PathBuf::from(DATA_DIR_DEFAULT));
        assert_eq!(data_dir("data_dir: /data\n"), Some(PathBuf::from("/data")));
        assert_eq!(data_dir("data_dir: [5]\n"), None);
        // A key that is named in vain is a mistake of its own.
        assert_eq!(data_dir("assertion: { key: 5 }\n"), None);
    }
}
