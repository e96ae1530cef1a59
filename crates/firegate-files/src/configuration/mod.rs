//! t
#[derive(Debug)]
/// t
pub struct Configuration;
