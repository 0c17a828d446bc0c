/// How events look on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The device's own bytes.
    Binary,
    /// JSON like everything else.
    Json,
}
