//! Names of Whisper's tensors at Hugging Face and at OpenAI.

/// Parts of Hugging Face names and what OpenAI calls them, in this order: longer names before their parts.
const RENAMES: [(&str, &str); 15] = [
    ("layers", "blocks"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    ("final_layer_norm", "mlp_ln"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("encoder_attn", "cross_attn"),
    ("self_attn_layer_norm", "attn_ln"),
    ("self_attn", "attn"),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("decoder.layer_norm", "decoder.ln"),
    ("embed_positions.weight", "positional_embedding"),
];

/// The name in OpenAI's checkpoints and whisper.cpp's files of a tensor that Hugging Face calls `name`.
#[must_use]
pub fn openai_name(name: &str) -> String {
    let name = name.strip_prefix("model.").unwrap_or(name).replace("embed_tokens", "token_embedding");
    RENAMES.iter().fold(name, |name, (theirs, openai)| name.replace(theirs, openai))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_openai() {
        for (hugging_face, openai) in [
            ("model.encoder.layers.3.self_attn.q_proj.weight", "encoder.blocks.3.attn.query.weight"),
            ("model.encoder.layers.0.self_attn_layer_norm.bias", "encoder.blocks.0.attn_ln.bias"),
            ("model.decoder.layers.1.encoder_attn.out_proj.bias", "decoder.blocks.1.cross_attn.out.bias"),
            ("model.decoder.layers.1.encoder_attn_layer_norm.weight", "decoder.blocks.1.cross_attn_ln.weight"),
            ("model.decoder.layers.2.fc2.weight", "decoder.blocks.2.mlp.2.weight"),
            ("model.decoder.layers.2.final_layer_norm.weight", "decoder.blocks.2.mlp_ln.weight"),
            ("model.decoder.embed_tokens.weight", "decoder.token_embedding.weight"),
            ("model.encoder.embed_positions.weight", "encoder.positional_embedding"),
            ("model.encoder.layer_norm.weight", "encoder.ln_post.weight"),
            ("model.decoder.layer_norm.weight", "decoder.ln.weight"),
            ("model.encoder.conv1.bias", "encoder.conv1.bias"),
        ] {
            assert_eq!(openai_name(hugging_face), openai);
        }
    }
}
