//! One history: random operations on a fresh chain, each compared with the model.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::answer::{Log, Outcome, Refusal};
use crate::call::Operation;
use crate::cast::Cast;
use crate::chain::{BEGINNING, Chain, Question};
use crate::dice::Dice;
use crate::draw::draw;
use crate::expectation::{everything, touched};
use crate::model::Model;
use crate::tally::Tally;
use crate::words::{Word, join};

/// Operations after which everything of all feeds is compared, not only what was touched.
const ALL_EVERY: u64 = 50;
/// Earlier operations on the same feed that a failure shows.
const SHOWN: usize = 40;

/// Runs so many random operations on a chain of their own.
///
/// # Errors
/// At the first difference between chain and model, with all that is needed to see it again.
pub(crate) async fn run(seed: u64, steps: u64, artifact: &Path, tally: &mut Tally) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut dice = Dice::new(seed);
    let cast = Cast::new(&mut dice);
    let chain = Chain::start(artifact, folder.path(), &cast.wallets(), cast.refuser).await?;
    let domain = chain.domain();
    let forced = u128::from(dice.below(u64::MAX));
    chain.set_balance(domain.ledger, forced).await?;
    let mut model = Model::new(domain, BEGINNING, cast.wallets(), cast.refuser, forced);
    let mut past: Vec<Operation> = Vec::new();
    for step in 1..=steps {
        let operation = draw(&model, &cast, &mut dice);
        let (after, answer) = model.answer(&operation);
        tally.count(&operation, &answer);
        tally.measure(&after);
        let all = step % ALL_EVERY == 0 || step == steps;
        let compared = compare(&chain, &after, &operation, &answer, all).await;
        tally.compared += compared.with_context(|| scene(seed, step, &operation, &past))?;
        model = after;
        past.push(operation);
    }
    Ok(())
}

/// Executes an operation and compares what came of it. Returns the number of comparisons.
async fn compare(
    chain: &Chain,
    after: &Model,
    operation: &Operation,
    answer: &Result<Outcome, Refusal>,
    all: bool,
) -> Result<u64> {
    after.check()?;
    let mined = chain.execute(operation).await?;
    let ledger = after.domain.ledger;
    let (accepted, output, logs): (bool, Vec<u8>, Vec<Log>) = match answer {
        Ok(outcome) => {
            let logs = outcome.events.iter().map(|event| event.log(ledger));
            (true, join(&outcome.returned), logs.collect())
        }
        Err(refusal) => (false, refusal.encode(), Vec::new()),
    };
    if (mined.accepted, &mined.output) != (accepted, &output) {
        bail!(
            "the answer: model {answer:?} = {}, ledger {} {}",
            hex::encode(output),
            if mined.accepted { "accepts" } else { "refuses" },
            hex::encode(mined.output)
        );
    }
    ensure!(
        mined.logs == logs,
        "the events: model {logs:#?}, ledger {:#?}",
        mined.logs
    );
    let expected = if all {
        everything(after)
    } else {
        touched(after, operation)
    };
    let questions = expected.iter().map(|expectation| &expectation.question);
    let answers = chain.ask(questions).await?;
    ensure!(answers.len() == expected.len(), "some answers are missing");
    for (expectation, found) in expected.iter().zip(answers) {
        let found = match expectation.question {
            // A number comes without leading zeros.
            Question::Balance(_) => found.map(|bytes| join(&[number(&bytes)])),
            Question::Call(_) => found,
        };
        if found != expectation.answer {
            bail!(
                "{}: model {}, ledger {}",
                expectation.about,
                shown(&expectation.answer),
                shown(&found)
            );
        }
    }
    Ok(expected.len() as u64 + 3)
}

fn number(bytes: &[u8]) -> Word {
    let mut word = [0; 32];
    word[32 - bytes.len()..].copy_from_slice(bytes);
    word.into()
}

fn shown(answer: &Result<Vec<u8>, Vec<u8>>) -> String {
    match answer {
        Ok(data) => hex::encode(data),
        Err(data) => format!("error {}", hex::encode(data)),
    }
}

/// What led to a failure, and how to see it again.
fn scene(seed: u64, step: u64, operation: &Operation, past: &[Operation]) -> String {
    let feed = operation.call.feed();
    let mut text = format!(
        "ASHYA_SEED={seed} ASHYA_DIFFERENTIAL_OPERATIONS={step} shows it again\n\
         seed {seed}, step {step}: {operation:?}\nbefore it, on the same feed:"
    );
    let same = past.iter().enumerate();
    let same: Vec<_> = same.filter(|(_, past)| past.call.feed() == feed).collect();
    for (index, past) in same.iter().skip(same.len().saturating_sub(SHOWN)) {
        let _ = write!(text, "\n  step {}: {past:?}", index + 1);
    }
    text
}
