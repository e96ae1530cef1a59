//! Where addresses are, by a database in MaxMind's format that the operator names: `geo.mmdb`
//! (<https://maxmind.github.io/MaxMind-DB/>). GeoLite2 and DB-IP Lite have the country in `country.iso_code` and the autonomous
//! system in `autonomous_system_number`, IPinfo Lite in `country_code` and `asn`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firegate_core::armor::{Geography, Location};
use firegate_files::configuration::Configuration;
use maxminddb::{MaxMindDbError, PathElement, Reader};

use crate::files::read_bounded;
use crate::limits::GEOGRAPHY_FILE_BYTES_MAX;

/// An open database, wholly in memory.
pub(crate) struct Database(Reader<Vec<u8>>);

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the database {} cannot be used: {source}\nhint: `geo.mmdb` names a file in MaxMind's format, such as GeoLite2-Country.mmdb", file.display())]
pub struct GeographyError {
    /// The file.
    file: PathBuf,
    /// What is wrong.
    source: MaxMindDbError,
}

impl Database {
    /// Reads a database.
    ///
    /// # Errors
    /// If there is no such file, or it is none of this format.
    pub(crate) fn open(file: &Path) -> Result<Self, GeographyError> {
        let read = read_bounded(file, GEOGRAPHY_FILE_BYTES_MAX).map_err(MaxMindDbError::from);
        read.and_then(Reader::from_source)
            .map(Self)
            .map_err(|source| GeographyError { file: file.to_owned(), source })
    }
}

/// Opens the database that a configuration names, if it names one.
///
/// # Errors
/// If there is no such file, or it is none of this format.
pub fn open_geography(configuration: &Configuration) -> Result<Option<Arc<dyn Geography>>, GeographyError> {
    let database = configuration.geo.as_deref().map(Database::open).transpose()?;
    Ok(database.map(|database| Arc::new(database) as Arc<dyn Geography>))
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Database").field(&self.0.metadata().database_type).finish()
    }
}

impl Geography for Database {
    fn locate(&self, address: IpAddr) -> Location {
        let Ok(found) = self.0.lookup(address) else { return Location::default() };
        // Of another type is as good as absent.
        let text = |path: &[PathElement<'_>]| found.decode_path::<&str>(path).ok().flatten();
        let region = text(&[PathElement::Key("country"), PathElement::Key("iso_code")]);
        let region = region.or_else(|| text(&[PathElement::Key("country_code")]));
        let number = found.decode_path::<u32>(&[PathElement::Key("autonomous_system_number")]).ok().flatten();
        let asn = number.or_else(|| text(&[PathElement::Key("asn")])?.trim_start_matches("AS").parse().ok());
        Location { region: region.and_then(code), asn }
    }
}

/// Two letters, in upper case.
fn code(text: &str) -> Option<[u8; 2]> {
    let letters = <[u8; 2]>::try_from(text.as_bytes()).ok()?;
    letters.iter().all(u8::is_ascii_alphabetic).then(|| letters.map(|letter| letter.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database by hand, of the format's version 2.0: one tree of one node, whose left half (0.0.0.0/1) has the first record
    /// and whose right half the second.
    fn database(left: &[u8], right: &[u8]) -> Vec<u8> {
        // A pointer into the data section is the number of nodes, 16 and the offset.
        let pointer = |offset: usize| u32::try_from(1 + 16 + offset).expect("a small offset").to_be_bytes();
        let (first, second) = (pointer(0), pointer(left.len()));
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&first[1..]);
        bytes.extend_from_slice(&second[1..]);
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(left);
        bytes.extend_from_slice(right);
        bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        let number = |name: &str, value: u8| [text(name), vec![0xa1, value]].concat();
        let members = [
            // The count is a uint32, the others are uint16.
            [text("node_count"), vec![0xc1, 1]].concat(),
            number("record_size", 24),
            number("ip_version", 4),
            number("binary_format_major_version", 2),
            [text("binary_format_minor_version"), vec![0xa0]].concat(),
            [text("database_type"), text("Test")].concat(),
            // uint64 and an empty array are of the extended types 9 and 11.
            [text("build_epoch"), vec![0x01, 0x02, 1]].concat(),
            [text("languages"), vec![0x00, 0x04]].concat(),
            [text("description"), vec![0xe0]].concat(),
        ];
        bytes.push(0xe0 + u8::try_from(members.len()).expect("few members"));
        bytes.extend(members.concat());
        bytes
    }

    fn text(text: &str) -> Vec<u8> {
        let length = u8::try_from(text.len()).expect("a short text");
        [vec![0x40 + length.min(28)], text.as_bytes().to_vec()].concat()
    }

    fn map(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let members = members.iter().flat_map(|(name, value)| [text(name), value.clone()].concat());
        let length = u8::try_from(members.clone().count()).expect("few bytes");
        assert!(length > 0);
        members.collect()
    }

    fn one_of(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let count = u8::try_from(members.len()).expect("few members");
        [vec![0xe0 + count], map(members)].concat()
    }

    #[test]
    fn countries_and_autonomous_systems_are_found_in_the_spellings_of_several_databases() {
        let maxmind = one_of(&[
            ("country", one_of(&[("iso_code", text("aq"))])),
            ("autonomous_system_number", vec![0xc2, 0xfb, 0xf4]),
        ]);
        let ipinfo = one_of(&[
            ("country", text("Antarctica")),
            ("country_code", text("AQ")),
            ("asn", text("AS64501")),
        ]);
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("places.mmdb");
        std::fs::write(&file, database(&maxmind, &ipinfo)).expect("a file");
        let database = Database::open(&file).expect("a database");
        let locate = |address: &str| database.locate(address.parse().expect("an address"));
        assert_eq!(locate("10.0.0.1"), Location { region: Some(*b"AQ"), asn: Some(64_500) });
        assert_eq!(locate("192.0.2.1"), Location { region: Some(*b"AQ"), asn: Some(64_501) });
        assert_eq!(locate("2001:db8::1"), Location::default());
    }

    #[test]
    fn what_is_no_database_is_refused_by_its_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("no.mmdb");
        assert!(Database::open(&file).is_err());
        std::fs::write(&file, "no database").expect("a file");
        let error = Database::open(&file).expect_err("no database").to_string();
        assert!(error.contains("no.mmdb") && error.contains("hint:"), "{error}");
    }
}
