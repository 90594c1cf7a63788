//! Tests of `listing.rs`.

use super::*;

fn names(engine: EngineKind, level: Option<&str>, files: &[&str]) -> Vec<String> {
    let files: Vec<HubFile> = files.iter().map(|n| HubFile { name: (*n).to_owned(), size: Some(1) }).collect();
    needed(&files, engine, level).into_iter().map(|f| f.name).collect()
}

#[test]
fn only_one_copy_of_the_weights_is_downloaded() {
    let llama = [
        "config.json",
        "consolidated.00.pth",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "original/consolidated.00.pth",
        "original/params.json",
        "README.md",
        "tokenizer.json",
        "pytorch_model.bin",
        "consolidated.safetensors",
    ];
    assert_eq!(
        names(EngineKind::Vllm, None, &llama),
        [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
        ]
    );
    let mistral = ["consolidated.safetensors", "params.json", "tekken.json", "tokenizer.model.v3"];
    assert_eq!(names(EngineKind::Vllm, None, &mistral), ["consolidated.safetensors", "params.json", "tekken.json"]);
    let old = ["config.json", "pytorch_model.bin", "training_args.bin", "onnx/model.onnx", "1_Pooling/config.json"];
    assert_eq!(names(EngineKind::Vllm, None, &old), ["config.json", "pytorch_model.bin", "1_Pooling/config.json"]);
    let gguf = ["a-Q2_K.gguf", "a-Q4_K_M.gguf", "a-Q8_0.gguf", "mmproj-a-f16.gguf", "README.md"];
    assert_eq!(names(EngineKind::Llamacpp, None, &gguf), ["a-Q4_K_M.gguf"]);
    assert_eq!(names(EngineKind::Llamacpp, Some("Q8_0"), &gguf), ["a-Q8_0.gguf"]);
    assert_eq!(names(EngineKind::Command, Some("Q2_K"), &gguf), ["a-Q2_K.gguf"]);
    assert!(names(EngineKind::Llamacpp, Some("Q6_K"), &gguf).is_empty());
    assert!(names(EngineKind::Vllm, None, &gguf).is_empty());
    let split = ["q8/a-Q8_0-00001-of-00002.gguf", "q8/a-Q8_0-00002-of-00002.gguf"];
    assert_eq!(names(EngineKind::Llamacpp, Some("q8_0"), &split).len(), 2);
    assert_eq!(names(EngineKind::Llamacpp, None, &split).len(), 2);
    let many = ["a-BF16.gguf", "a-F16.gguf", "a-Q2_K.gguf", "a-Q2_K_L.gguf", "a-UD-Q2_K.gguf", "model.safetensors"];
    for (level, file) in [("F16", "a-F16.gguf"), ("Q2_K", "a-Q2_K.gguf"), ("Q2_K_L", "a-Q2_K_L.gguf")] {
        assert_eq!(names(EngineKind::Llamacpp, Some(level), &many), [file]);
        assert_eq!(names(EngineKind::Command, Some(level), &many), [file]);
    }
    assert_eq!(names(EngineKind::Llamacpp, Some("UD"), &many), ["a-UD-Q2_K.gguf"]);
    assert_eq!(names(EngineKind::Llamacpp, None, &many), ["a-BF16.gguf"]);
    assert_eq!(names(EngineKind::Command, None, &many), ["model.safetensors"]);
}
