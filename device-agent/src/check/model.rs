use std::time::{Duration, Instant};

use super::Finding;
use crate::agent::{AgentError, check_labels, check_zones};
use crate::causes::causes;
use crate::config::Config;
use crate::detect::{Detector, Filter, Overlap};
use crate::picture::Picture;
use crate::runtime::Runtime;

/// Runs beside the first, which warms up.
const RUNS: usize = 5;

/// Loads library and model and looks at a picture some times.
pub(super) fn check(settings: &Config, picture: &Picture) -> Finding {
    let config = &settings.model;
    let runtime = match Runtime::load(&config.runtime) {
        Ok(runtime) => runtime,
        Err(error) => {
            return Finding::failed(
                causes(&error),
                "run `make setup`, or name the library by --onnxruntime PATH",
            );
        }
    };
    let mut detector = match Detector::load(&runtime, &config.options) {
        Ok(detector) => detector,
        Err(error) => {
            return Finding::failed(
                causes(&error),
                "name a YOLO as ONNX by --model; models/README.md lists what is understood",
            );
        }
    };
    if let Err(error) = check_names(settings, detector.labels()) {
        return Finding::failed(causes(&error), "name only what this model knows");
    }
    let mut times = Vec::with_capacity(RUNS);
    let mut objects = 0;
    for run in 0..=RUNS {
        let begun = Instant::now();
        match detector.detect(picture, config.rules.confidence, Overlap::REFERENCE) {
            Ok(found) => objects = found.len(),
            Err(error) => {
                return Finding::failed(causes(&error), "try another model, or another provider");
            }
        }
        if run > 0 {
            times.push(begun.elapsed());
        }
    }
    let providers: Vec<_> = detector
        .providers()
        .iter()
        .map(ToString::to_string)
        .collect();
    Finding::Ok(format!(
        "{} ({}) at {} on {}: {:.1} ms a picture of {}x{}, {objects} objects in it",
        detector.info().name,
        detector.layout().family,
        detector.input(),
        providers.join(", "),
        middle(&mut times).as_secs_f64() * 1e3,
        picture.width(),
        picture.height(),
    ))
}

/// Whether the model knows every label that filters, derived streams and zones name, as `run` demands.
fn check_names(config: &Config, known: &[String]) -> Result<(), AgentError> {
    Filter::new(&config.model.rules, known)?;
    check_labels(&config.derived, known)?;
    check_zones(config.tracking.as_ref(), known)
}

/// The median.
fn middle(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunArgs;

    fn load(toml: &str) -> Config {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        let args = RunArgs {
            config: Some(file.path().to_owned()),
            owner: Some("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266".into()),
            ..RunArgs::default()
        };
        Config::load(args).unwrap()
    }

    #[test]
    fn labels_that_the_model_does_not_know_are_found_wherever_they_stand() {
        let known = ["person", "dog"].map(String::from);
        let zone = "[zones.gate]\npolygon = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0]]\nlabels";
        for (place, toml) in [
            ("labels", "[model]\nlabels"),
            ("stream", "[[streams]]\nname = 'people'\nlabels"),
            ("zone", zone),
        ] {
            for (label, is_known) in [("dog", true), ("dgo", false)] {
                let config = load(&format!("{toml} = ['{label}']"));
                let found = check_names(&config, &known);
                assert_eq!(found.is_ok(), is_known, "{place} {label}: {found:?}");
            }
        }
    }

    #[test]
    fn the_middle_is_no_outlier() {
        let mut times = [9, 1, 2].map(Duration::from_secs);
        assert_eq!(middle(&mut times), Duration::from_secs(2));
        assert_eq!(middle(&mut []), Duration::ZERO);
    }
}
