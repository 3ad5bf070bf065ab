"""Makes a tiny safety checker with random weights, exports it as ONNX, and writes what diffusers says of pictures.

Run with torch, diffusers, transformers, onnx, Pillow and numpy:  python make_safety.py OUT PICTURE.png…
"""
import json, pathlib, sys
import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

out, pictures = pathlib.Path(sys.argv[1]), sys.argv[2:]
torch.manual_seed(5)
vision = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8, projection_dim=20)
text = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4, vocab_size=100, projection_dim=20)
model = StableDiffusionSafetyChecker(CLIPConfig(text_config=text, vision_config=vision, projection_dim=20)).eval()
extractor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
images = [Image.open(p).convert("RGB") for p in pictures]
inputs = [extractor(images=im, return_tensors="pt").pixel_values for im in images]

# Concepts lie near some of the pictures, at thresholds in the middle of a gap between two of them, so that no verdict hangs by a hair.
with torch.no_grad():
    embeds = torch.cat([model.visual_projection(model.vision_model(x)[1]) for x in inputs])
    unit = embeds / embeds.norm(dim=-1, keepdim=True)
    centre = unit.mean(0)
    model.concept_embeds.copy_(torch.randn(17, 20))
    model.special_care_embeds.copy_(torch.randn(3, 20))
    model.concept_embeds_weights.fill_(0.99)
    model.special_care_embeds_weights.fill_(0.99)
    def threshold(direction, rank):
        cos = torch.sort(unit @ (direction / direction.norm()), descending=True).values
        return (cos[rank - 1] + cos[rank]) / 2
    for i, rank in ((0, 2), (1, 3)):
        model.concept_embeds[i] = unit[i] - centre
        model.concept_embeds_weights[i] = threshold(model.concept_embeds[i], rank)
    model.special_care_embeds[0] = unit[2] - centre
    model.special_care_embeds_weights[0] = threshold(model.special_care_embeds[0], 2)

(out / "safety_checker").mkdir(parents=True, exist_ok=True)
(out / "feature_extractor").mkdir(exist_ok=True)
extractor.save_pretrained(out / "feature_extractor")
model.config.save_pretrained(out / "safety_checker")
model.forward = model.forward_onnx
torch.onnx.export(model, (torch.randn(1, 3, 32, 32), torch.randn(1, 32, 32, 3)), str(out / "safety_checker/model.onnx"),
                  input_names=["clip_input", "images"], output_names=["out_images", "has_nsfw_concepts"],
                  dynamic_axes={"clip_input": {0: "batch", 1: "channels", 2: "height", 3: "width"}, "images": {0: "batch", 1: "height", 2: "width", 3: "channels"}},
                  opset_version=14, do_constant_folding=True, dynamo=False)
with open(out / "cases.jsonl", "w") as f:
    for p, im, x in zip(pictures, images, inputs):
        array = torch.from_numpy(np.asarray(im).astype(np.float32) / 255)[None]
        with torch.no_grad():
            special = torch.nn.functional.linear(unit[pictures.index(p)][None], torch.nn.functional.normalize(model.special_care_embeds)) - model.special_care_embeds_weights
            concept = torch.nn.functional.linear(unit[pictures.index(p)][None], torch.nn.functional.normalize(model.concept_embeds)) - model.concept_embeds_weights
            _, eager = StableDiffusionSafetyChecker.forward(model, x, array.numpy().copy())
            _, graph = StableDiffusionSafetyChecker.forward_onnx(model, x, array.clone())
        f.write(json.dumps({"image": p, "flagged": bool(eager[0]), "flagged_onnx": bool(graph[0]), "special_margin": round(float(special.max()), 4),
                            "margin": round(float(concept.max()), 4), "clip_input_first8": [float(v) for v in x.flatten()[:8]]}) + "\n")
