//! What is done to headers.

/// What is done to headers, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderAction {
    /// Headers that are removed from the request.
    pub request_remove: Vec<String>,
    /// Headers that the request gets.
    pub request_add: Vec<AddedHeader>,
    /// Headers that are removed from the answer.
    pub response_remove: Vec<String>,
    /// Headers that the answer gets.
    pub response_add: Vec<AddedHeader>,
}

impl HeaderAction {
    /// Whether any header that is added says where clients are.
    pub fn asks_for_regions(&self) -> bool {
        let added = self.request_add.iter().chain(&self.response_add);
        added
            .flat_map(|header| &header.value.0)
            .any(|part| *part == ValuePart::Variable(HeaderVariable::ClientRegion))
    }
}

/// A header that is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedHeader {
    /// Its name in lower case.
    pub name: String,
    /// Its value, in which `{client_region}` and the like are variables.
    pub value: HeaderValueTemplate,
    /// Whether it takes the place of those that are there.
    pub replace: bool,
}

/// The value of an added header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderValueTemplate(pub Vec<ValuePart>);

/// A part of the value of an added header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValuePart {
    /// Text as it is.
    Text(String),
    /// What is known of the request.
    Variable(HeaderVariable),
}

/// A variable in the value of an added header, of those that Google has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderVariable {
    /// The client's address.
    ClientIpAddress,
    /// Whether the client spoke TLS: `true` or `false`.
    ClientEncrypted,
    /// The version of HTTP that the client spoke.
    ClientProtocol,
    /// The client's country, where a database says so.
    ClientRegion,
    /// The client's port.
    ClientPort,
    /// The address that the client connected to.
    ServerIpAddress,
    /// The port that the client connected to.
    ServerPort,
    /// The version of TLS that the client spoke.
    TlsVersion,
    /// What Firegate does not know, and Google writes as nothing when it does not.
    Unknown,
}
