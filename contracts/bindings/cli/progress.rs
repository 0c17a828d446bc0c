//! What a waiting person sees on stderr.

use ashya_contracts::{Progress, show_eth};

/// Says where a transaction is.
pub(super) fn tell(progress: &Progress) {
    match progress {
        Progress::Estimated { gas, most } => {
            eprintln!("costs at most {} ({gas} gas)", show_eth(*most));
        }
        Progress::Asked => eprintln!("waiting for the signer: confirm it there"),
        // What follows at once says more.
        Progress::Signed | Progress::Refused => {}
        Progress::Sent { transaction } => {
            eprintln!("sent {transaction}, waiting until it is mined");
        }
    }
}
