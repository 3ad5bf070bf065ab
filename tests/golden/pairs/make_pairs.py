"""make_pairs.py CLIP_DIR BLIP_DIR: writes images/, pool.jsonl and expected.json beside itself.

Verdicts and values are those of Data-Juicer's own operators (py-data-juicer 1.6.1, transformers 5.23, Pillow 13); only the two networks inside them are
replaced by onnxruntime on the tiny models, with transformers' tokenizers and its Pillow image processors.
"""
import io, json, os, random, struct, sys
import numpy as np, onnxruntime as ort, torch
from PIL import Image
from transformers import AutoTokenizer, CLIPTokenizer
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
import data_juicer.ops.filter.image_text_matching_filter as matching
import data_juicer.ops.filter.image_text_similarity_filter as similarity
from data_juicer.ops.filter.image_aspect_ratio_filter import ImageAspectRatioFilter
from data_juicer.ops.filter.image_shape_filter import ImageShapeFilter
from data_juicer.ops.filter.image_size_filter import ImageSizeFilter
from data_juicer.utils.constant import Fields

here = os.path.dirname(os.path.abspath(__file__))
CLIP, BLIP = sys.argv[1:3]


class Bag(dict):
    __getattr__ = dict.get
    def to(self, device): return self


class Net:
    """A graph in the place of a torch model."""
    device = 'cpu'
    def __init__(self, path, length, output, name):
        self.s, self.output, self.name = ort.InferenceSession(path), output, name
        self.config = Bag(text_config=Bag(max_position_embeddings=length))
    def __call__(self, **inputs):
        return Bag({self.name: torch.tensor(self.s.run([self.output], inputs)[0])})


def processor(tokenizer, images):
    def run(text, images_=None, max_length=77, **k):
        pictures = k['images'] if isinstance(k['images'], list) else [k['images']]
        t = tokenizer([text], truncation=True, max_length=max_length, return_tensors='np')
        return Bag(input_ids=t['input_ids'].astype(np.int64), attention_mask=t['attention_mask'].astype(np.int64),
                   pixel_values=images(pictures, return_tensors='np')['pixel_values'].astype(np.float32))
    return run


models = {'clip': (Net(CLIP + '/model.onnx', 77, 'logits_per_text', 'logits_per_text'), processor(CLIPTokenizer.from_pretrained(CLIP), CLIPImageProcessorPil.from_pretrained(CLIP))),
          'blip': (Net(BLIP + '/model.onnx', 128, 'itm_logits', 'itm_score'), processor(AutoTokenizer.from_pretrained(BLIP), BlipImageProcessorPil.from_pretrained(BLIP)))}
similarity.prepare_model = matching.prepare_model = lambda pretrained_model_name_or_path, **k: pretrained_model_name_or_path
similarity.get_model = matching.get_model = lambda key, *a: models[key]

# ---- pictures of every kind ----
R, rng = random.Random(4), np.random.default_rng(4)
os.makedirs(here + '/images', exist_ok=True)
names = []


def noise(w, h):
    return Image.fromarray(rng.integers(0, 256, (max(1, h // 4), max(1, w // 4), 3), dtype=np.uint8)).resize((w, h), Image.BICUBIC)


def put(name, image, **k):
    names.append(name)
    image.save(os.path.join(here, 'images', name), **k)


def turned(n):
    e = Image.Exif(); e[0x112] = n
    return e


put('rgb.png', noise(60, 40)); put('grey.jpg', noise(31, 57).convert('L')); put('dot.png', noise(1, 1)); put('thin.png', noise(90, 6))
for n in (3, 5, 6, 8): put('turned-%d.jpg' % n, noise(50, 30), exif=turned(n), quality=90)
put('turned-7.webp', noise(40, 22), exif=turned(7).tobytes(), quality=80)
put('turned-2.png', noise(33, 20), exif=turned(2))
put('cmyk.jpg', noise(40, 40).convert('CMYK'))
put('deep.png', Image.fromarray(rng.integers(0, 600, (20, 30)).astype(np.uint16)))
rgba = noise(36, 36).convert('RGBA'); rgba.putalpha(Image.fromarray(rng.integers(0, 256, (36, 36), dtype=np.uint8))); put('alpha.png', rgba)
put('palette.png', noise(48, 32).quantize(16)); put('palette-clear.png', noise(48, 32).quantize(16), transparency=3)
b = io.BytesIO(); noise(44, 28).save(b, 'JPEG'); b = b.getvalue()
xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
names.append('xmp-6.jpg')
open(here + '/images/xmp-6.jpg', 'wb').write(b[:2] + b'\xff\xe1' + struct.pack('>H', len(xmp) + 2) + xmp + b[2:])

# ---- captions and verdicts ----
words = 'the a red green small cup dog cat table tree on and robot purple two zebra lamps, wooden! house caf\u00e9 \u4e2d'.split()
ops = [('image_aspect_ratio_filter', ImageAspectRatioFilter(min_ratio=0.4, max_ratio=3.0), False),
       ('image_shape_filter', ImageShapeFilter(min_width=2, max_width=58), True),
       ('image_size_filter', ImageSizeFilter(min_size='100', max_size='20KB'), True),
       ('image_text_similarity_filter', similarity.ImageTextSimilarityFilter(hf_clip='clip', min_score=-0.05, horizontal_flip=True), True),
       ('image_text_matching_filter', matching.ImageTextMatchingFilter(hf_blip='blip', min_score=0.1), True)]
rows, expected = [], []
for i in range(64):
    caption = ' '.join(R.choice(words) for _ in range(R.choice([1, 4, 9, 20, 90])))
    if i % 13 == 5: caption += ' <|__dj__eoc|> what follows is another chunk'
    if i % 13 == 7: caption += ' <__dj__image> '
    row = {'id': 'p%02d' % i, 'caption': caption, 'image': names[i % len(names)]}
    if i % 17 == 9: row['image'] = None
    rows.append(row)
    sample = {'text': '<__dj__image>\n' + caption + ' <|__dj__eoc|>', 'images': [here + '/images/' + row['image']] if row['image'] else [], Fields.stats: {}}
    rule = None
    for name, op, single in ops:
        if single: sample = op.compute_stats_single(sample); keep = op.process_single(sample)
        else:
            batch = {k: [v] for k, v in sample.items()}
            keep = list(op.process_batched(op.compute_stats_batched(batch)))[0]
        if not keep: rule = name; break
    expected.append({'id': row['id'], 'rule': rule, 'stats': {k: float(v[0]) for k, v in sample[Fields.stats].items() if len(v)}})
with open(here + '/pool.jsonl', 'w') as f: f.writelines(json.dumps(r) + '\n' for r in rows)
with open(here + '/expected.json', 'w') as f: f.write('[\n' + ',\n'.join(json.dumps(e) for e in expected) + '\n]\n')
