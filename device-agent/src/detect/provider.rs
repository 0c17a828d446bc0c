use std::fmt;
use std::str::FromStr;

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::builder::SessionBuilder;
use thiserror::Error;
use tracing::warn;

/// What computes a model, by the names of ONNX Runtime's execution providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// The processor; every library has it.
    Cpu,
    /// Nvidia's GPUs.
    Cuda,
    /// Nvidia's GPUs, by way of TensorRT, which compiles the model at its first start.
    TensorRt,
    /// Intel's processors, GPUs and NPUs.
    OpenVino,
    /// Apple's GPU and neural engine.
    CoreMl,
}

/// No execution provider.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no execution provider; known are cpu, cuda, tensorrt, openvino and coreml")]
pub struct ProviderError(String);

impl Provider {
    const ALL: [Self; 5] = [
        Self::Cpu,
        Self::Cuda,
        Self::TensorRt,
        Self::OpenVino,
        Self::CoreMl,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::OpenVino => "openvino",
            Self::CoreMl => "coreml",
        }
    }

    /// Whether the loaded library was built with it, and how to ask for it.
    fn dispatch(self) -> (ort::Result<bool>, ExecutionProviderDispatch) {
        match self {
            Self::Cpu => (Ok(true), ep::CPU::default().build()),
            Self::Cuda => (ep::CUDA::is_available(), ep::CUDA::default().build()),
            Self::TensorRt => (
                ep::TensorRT::is_available(),
                ep::TensorRT::default().build(),
            ),
            Self::OpenVino => (
                ep::OpenVINO::is_available(),
                ep::OpenVINO::default().build(),
            ),
            Self::CoreMl => (ep::CoreML::is_available(), ep::CoreML::default().build()),
        }
    }
}

/// Adds the wanted providers to a session, the first one first, as far as the library has them, and returns which it
/// took. What no other provider takes, the processor does.
pub(crate) fn add(
    mut builder: SessionBuilder,
    wanted: &[Provider],
) -> (SessionBuilder, Vec<Provider>) {
    let mut taken = Vec::new();
    for &provider in wanted.iter().take_while(|one| **one != Provider::Cpu) {
        let (available, dispatch) = provider.dispatch();
        if !available.unwrap_or(false) {
            warn!(
                "this ONNX Runtime library was built without {provider}; \
                 name one that has it with --onnxruntime PATH"
            );
            continue;
        }
        builder = match builder.with_execution_providers([dispatch.error_on_failure()]) {
            Ok(builder) => {
                taken.push(provider);
                builder
            }
            Err(error) => {
                warn!("{provider} cannot be used: {error}");
                error.recover()
            }
        };
    }
    taken.push(Provider::Cpu);
    (builder, taken)
}

impl FromStr for Provider {
    type Err = ProviderError;

    fn from_str(text: &str) -> Result<Self, ProviderError> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| ProviderError(text.to_owned()))
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_have_names() {
        for provider in Provider::ALL {
            assert_eq!(provider.to_string().parse(), Ok(provider));
        }
        assert_eq!("TensorRT".parse(), Ok(Provider::TensorRt));
        let error = "gpu".parse::<Provider>().unwrap_err().to_string();
        assert!(error.contains("`gpu`") && error.contains("cuda"), "{error}");
    }
}
