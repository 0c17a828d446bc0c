//! How errors read in logs and on stderr.

use std::error::Error;
use std::fmt;

/// An error with the errors behind it, on one line.
pub(crate) struct Chained<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Chained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
