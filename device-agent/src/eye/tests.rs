use std::path::Path;
use std::time::Duration;

use ashya_protocol::{Address, Boot, DeviceKey, Domain, TimeUs};
use tokio::time::timeout;

use super::*;
use crate::capture::Captured;
use crate::config::{Config, RunArgs};
use crate::detect::ModelOptions;
use crate::picture::Picture;
use crate::runtime::tests::runtime;

const OWNER: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
const LIMIT: Duration = Duration::from_secs(60);

/// A model that fails at every picture that is not black.
fn failing() -> Detector {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/failing.onnx");
    Detector::load(runtime(), &ModelOptions::new(model)).unwrap()
}

/// Looks at every picture of a generated street.
fn gaze(detector: &Detector) -> Gaze {
    let config = Config::load(RunArgs {
        owner: Some(OWNER.into()),
        source: Some("scene:7".into()),
        fps: Some(30.0),
        ..RunArgs::default()
    });
    let config = config.unwrap();
    Gaze {
        source: config.source,
        masks: config.masks,
        motion: None,
        regions: config.regions,
        tracking: config.tracking,
        frames: config.frames,
        derived: config.derived,
        filter: Filter::new(&config.model.rules, detector.labels()).unwrap(),
    }
}

fn voice() -> Voice {
    let key = DeviceKey::from_bytes([5; 32]).unwrap();
    let domain = Domain {
        chain_id: 31337,
        ledger: Address::new([7; 20]),
    };
    Voice::new(key, domain, Boot::try_from(3).unwrap())
}

#[test]
fn failures_of_the_model_are_counted_and_too_many_in_a_row_end_the_look() {
    let (detector, looked) = (failing(), Looked::default());
    let gaze = gaze(&detector);
    let looker = gaze.looker(detector, voice(), Demand::default(), looked.clone());
    let mut looker = looker.unwrap();
    // Square as the input: what pads another shape is not black.
    let mut look = |light: u8| {
        let picture = Picture::from_rgb(32, 32, vec![light; 32 * 32 * 3]).unwrap();
        let time_us = TimeUs::try_from(1_790_000_000_000_000).unwrap();
        looker.look(Captured { time_us, picture })
    };
    for _ in 1..MAX_FAILURES {
        assert!(look(255).unwrap().is_none(), "a picture is skipped");
    }
    assert!(
        look(0).unwrap().is_some(),
        "a run that works begins a new row"
    );
    for _ in 1..MAX_FAILURES {
        assert!(look(255).unwrap().is_none());
    }
    assert!(matches!(look(255), Err(DetectError::Run(_))));
    let figures = looked.read();
    let failures = u64::from(2 * MAX_FAILURES - 1);
    assert_eq!((figures.runs, figures.failures), (1, failures));
    assert_eq!(figures.frames, failures + 1);
}

#[tokio::test]
async fn the_eye_closes_and_says_why_when_its_model_fails() {
    let (uplink, _parcels) = Uplink::new();
    let (detector, stop) = (failing(), CancellationToken::new());
    let (gaze, demand) = (gaze(&detector), Demand::default());
    let looked = Looked::default();
    let eye = Eye::open(
        gaze,
        detector,
        voice(),
        demand,
        uplink,
        looked,
        stop.clone(),
    )
    .unwrap();
    timeout(LIMIT, eye.ended().cancelled()).await.unwrap();
    stop.cancel();
    let closed = tokio::task::spawn_blocking(move || eye.join());
    let error = anyhow::Error::from(closed.await.unwrap().unwrap_err());
    let text = format!("{error:#}");
    assert!(
        text.contains("10 failures of the model in a row") && text.contains("out of data bounds"),
        "{text}"
    );
}
