"""The Python stack that synthvlm replaces, on the same ONNX files: transformers' tokenizer, diffusers' scheduler, ONNX Runtime, Pillow, scikit-image.

usage: python_pipeline.py MODEL_DIR PROMPTS.jsonl OUT_DIR [STEPS GUIDANCE CANDIDATES]

Draws every prompt's candidates, saves them as JPEG, scores each with CLIPScore and SSIMScore. One process, as the scripts of the field are; ONNX Runtime gets
all cores, its default. Needs: onnxruntime, numpy, pillow, scikit-image, torch, diffusers, transformers."""
import io, json, os, sys, time

import numpy as np
import onnxruntime as ort
import torch
from diffusers import DPMSolverMultistepScheduler
from PIL import Image
from skimage.metrics import structural_similarity
from transformers import CLIPTokenizer

model, prompts, out = sys.argv[1:4]
steps, guidance, candidates = int((sys.argv + [0] * 3)[4] or 20), float((sys.argv + [0] * 3)[5] or 5.0), int((sys.argv + [0] * 3)[6] or 4)
os.makedirs(out, exist_ok=True)
session = lambda name: ort.InferenceSession(os.path.join(model, name), providers=['CPUExecutionProvider'])
text_encoder, unet, decoder = session('text_encoder/model.onnx'), session('unet/model.onnx'), session('vae_decoder/model.onnx')
clip_text, clip_image = session('clip/text_model.onnx'), session('clip/vision_model.onnx')
tokenizer = CLIPTokenizer.from_pretrained(os.path.join(model, 'tokenizer'))
scale = json.load(open(os.path.join(model, 'vae_decoder/config.json')))['scaling_factor']


def ids(text):
    return np.array(tokenizer([text], padding='max_length', max_length=77, truncation=True)['input_ids'], np.int64)


def ssim_score(image, base=128, low=56):
    a = image.resize((base, base), Image.BILINEAR)
    b = a.resize((low, low), Image.BILINEAR).resize((base, base), Image.BILINEAR)
    return structural_similarity(np.array(a.convert('L')), np.array(b.convert('L')))


begin = time.time()
count = 0
for line in open(prompts, encoding='utf-8'):
    row = json.loads(line)
    embeds = [text_encoder.run(['last_hidden_state'], {'input_ids': ids(t)})[0] for t in ('', row['prompt'])]
    hidden = np.concatenate([np.repeat(e, candidates, 0) for e in embeds])
    scheduler = DPMSolverMultistepScheduler.from_pretrained(model, subfolder='scheduler')
    scheduler.set_timesteps(steps)
    x = torch.cat([torch.randn((1, 4, 16, 16), generator=torch.Generator('cpu').manual_seed(k)) for k in range(candidates)]) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        y = scheduler.scale_model_input(torch.cat([x, x]), t).numpy()
        e = unet.run(['out_sample'], {'sample': y, 'timestep': np.array(float(t), np.float32), 'encoder_hidden_states': hidden})[0]
        e = e[:candidates] + guidance * (e[candidates:] - e[:candidates])
        x = scheduler.step(torch.from_numpy(e), t, x).prev_sample
    text = clip_text.run(['text_embeds'], {'input_ids': ids('A photo depicts ' + row['prompt'])})[0][0]
    for k in range(candidates):
        pixels = decoder.run(['sample'], {'latent_sample': x[k:k + 1].numpy() / scale})[0][0]
        pixels = (np.clip(pixels * 0.5 + 0.5, 0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, 'JPEG', quality=95)
        with open(os.path.join(out, '%06d-%d.jpg' % (count, k)), 'wb') as f:
            f.write(file.getvalue())
        image = Image.open(file).convert('RGB')
        feed = ((np.asarray(image, np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
        v = clip_image.run(['image_embeds'], {'pixel_values': feed})[0][0]
        clip = float(text @ v / np.linalg.norm(text) / np.linalg.norm(v))
        print(json.dumps({'prompt': row['prompt'], 'k': k, 'clip': clip, 'ssim': float(ssim_score(image))}))
    count += 1
print('%d images, %.2f images/s without start-up' % (count * candidates, count * candidates / (time.time() - begin)), file=sys.stderr)
