"""The same weights in diffusers: PyTorch modules filled from a directory's ONNX graphs, and its own pipeline on them.

usage: diffusers_torch.py MODEL_DIR JOBS.jsonl OUT_DIR

MODEL_DIR is of the class StableDiffusionPipeline. The exporter gave convolutions, norms and embeddings their PyTorch names; the matrices of linear layers are found by the
names of the nodes that use them. Every parameter must be found, and the pictures are compared with those in OUT_DIR (of synthvlm txt2img on the same jobs), so a
wrong one would be seen. Needs: torch, diffusers, transformers, onnx, numpy, pillow."""
import json, os, sys, time

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from PIL import Image

begin_all = time.time()
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
import diffusers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer


def weights(graph_file):
    """Parameters by their PyTorch names. An exporter may have wrapped the module as "m", and stored weights in half precision as NAME.f16."""
    graph = onnx.load(graph_file).graph
    data = {i.name.removesuffix('.f16'): numpy_helper.to_array(i).astype(np.float32) for i in graph.initializer}
    found = {name.removeprefix('m.'): value for name, value in data.items() if '::' not in name}
    for node in graph.node:
        for name in node.input:
            if name not in data or '::' not in name:
                continue
            path = '.'.join(node.name.strip('/').split('/')[:-1]).removeprefix('m.')
            if node.op_type == 'MatMul':
                found[path + '.weight'] = data[name].T
            elif node.op_type in ('Mul', 'Add') and 'norm' in path:          # group norm: the last two steps
                found[path + ('.weight' if node.op_type == 'Mul' else '.bias')] = data[name].reshape(-1)
    return found


def fill(module, graph_file, wanted=''):
    """Copies weights into every parameter whose name begins with one of `wanted`. Some names have a prefix on one side only."""
    have, state = weights(graph_file), module.state_dict()
    for name in state:
        if name.endswith('position_ids') or not name.startswith(wanted):
            continue
        same = [k for k in have if k == name or k.endswith('.' + name) or name.endswith('.' + k)]
        value = have[min(same, key=lambda k: abs(len(k) - len(name)))] if same else None
        if value is None or tuple(value.shape) != tuple(state[name].shape):
            raise SystemExit('%s: no weights for %s' % (graph_file, name))
        state[name] = torch.from_numpy(np.array(value))
    module.load_state_dict(state)
    return module.eval()


def config(part):
    c = json.load(open(os.path.join(model, part, 'config.json')))
    return {k: v for k, v in c.items() if not k.startswith('_')}


model, jobs, out = sys.argv[1:4]
torch.set_grad_enabled(False)
unet = fill(UNet2DConditionModel.from_config(config('unet')), os.path.join(model, 'unet/model.onnx'))
vae = fill(AutoencoderKL.from_config(config('vae_decoder')), os.path.join(model, 'vae_decoder/model.onnx'), ('decoder.', 'post_quant_conv.'))
text_encoder = fill(CLIPTextModel(CLIPTextConfig(**config('text_encoder'))), os.path.join(model, 'text_encoder/model.onnx'))
scheduler_config = json.load(open(os.path.join(model, 'scheduler/scheduler_config.json')))
scheduler = getattr(diffusers, scheduler_config['_class_name']).from_config(scheduler_config)
pipe = StableDiffusionPipeline(vae=vae, text_encoder=text_encoder, tokenizer=CLIPTokenizer.from_pretrained(os.path.join(model, 'tokenizer')), unet=unet,
                               scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
pipe.set_progress_bar_config(disable=True)
rows = [json.loads(line) for line in open(jobs)]
begin, cpu, worst = time.time(), time.process_time(), 0
for row in rows:
    picture = pipe(row['prompt'], num_inference_steps=row['steps'], guidance_scale=row['guidance'], width=row['width'], height=row['height'],
                   generator=torch.Generator('cpu').manual_seed(row['seed'])).images[0]
    row['picture'] = np.asarray(picture).astype(int)
seconds, cpu = time.time() - begin, time.process_time() - cpu
for row in rows:
    worst = max(worst, abs(row['picture'] - np.asarray(Image.open(os.path.join(out, row['image']))).astype(int)).max())
print('diffusers %s, PyTorch %s, %d threads: %d images  %6.2f s  %5.2f images/s, %.2f images per second of CPU; start-up %.1f s; largest difference from synthvlm %d of 255'
      % (diffusers.__version__, torch.__version__, torch.get_num_threads(), len(rows), seconds, len(rows) / seconds, len(rows) / cpu, begin - begin_all, worst))
