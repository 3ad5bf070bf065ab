"""make_modes.py OUT: small images of every kind, as hex, with what Pillow and transformers make of them (modes.jsonl)."""
import hashlib, io, json, random, struct, sys, warnings, zlib
import numpy as np
from PIL import Image
from transformers.image_transforms import convert_to_rgb

warnings.filterwarnings('ignore')
rng, r = np.random.default_rng(20), random.Random(20)
sha = lambda im: hashlib.sha256((im.convert('L') if im.mode == '1' else im).tobytes()).hexdigest()


def chunk(name, data): return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))


def png(w, h, depth, colour, channels, interlaced, key):
    """A PNG written by hand, for the combinations that Pillow does not write."""
    rows = b''
    for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)] if interlaced else [(0, 0, 1, 1)]:
        pw, ph = (w - x0 + dx - 1) // dx, (h - y0 + dy - 1) // dy
        if pw > 0: rows += b''.join(b'\0' + rng.integers(0, 256, (pw * channels * depth + 7) // 8, dtype=np.uint8).tobytes() for _ in range(ph))
    d = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, depth, colour, 0, 0, interlaced))
    if colour == 3: d += chunk(b'PLTE', rng.integers(0, 256, 3 * r.randint(1, 1 << depth), dtype=np.uint8).tobytes())
    if key and colour == 3: d += chunk(b'tRNS', bytes([r.randrange(256)]))
    if key and colour in (0, 2): d += chunk(b'tRNS', struct.pack('>' + 'H' * channels, *[r.randrange(1 << depth) for _ in range(channels)]))
    return d + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


def saved(im, form, **k):
    b = io.BytesIO(); im.save(b, form, **k)
    return b.getvalue()


def noise(mode, w, h, channels): return Image.frombytes(mode, (w, h), rng.integers(0, 256, w * h * channels, dtype=np.uint8).tobytes())


files = {}
for depth, colour, channels in [(1, 0, 1), (2, 0, 1), (4, 0, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3), (16, 2, 3), (1, 3, 1), (2, 3, 1), (4, 3, 1), (8, 3, 1), (8, 4, 2), (16, 4, 2), (8, 6, 4), (16, 6, 4)]:
    for interlaced in (0, 1):
        for key in (0, 1) if colour in (0, 2, 3) else (0,): files['png depth %d type %d%s%s' % (depth, colour, ' interlaced' * interlaced, ' key' * key)] = png(11, 7, depth, colour, channels, interlaced, key)
for s in (0, 1, 2): files['jpeg subsampling %d' % s] = saved(noise('RGB', 19, 13, 3), 'JPEG', subsampling=s, quality=60)
files['jpeg progressive'] = saved(noise('RGB', 19, 13, 3), 'JPEG', progressive=True); files['jpeg cmyk'] = saved(noise('CMYK', 9, 8, 4), 'JPEG', quality=90); files['jpeg grey'] = saved(noise('L', 9, 8, 1), 'JPEG')
for mode, n in (('RGB', 3), ('RGBA', 4)):
    files['webp ' + mode] = saved(noise(mode, 17, 12, n), 'WEBP', quality=70); files['webp lossless ' + mode] = saved(noise(mode, 17, 12, n), 'WEBP', lossless=True, exact=True)
    files['webp animation ' + mode] = saved(noise(mode, 17, 12, n), 'WEBP', save_all=True, append_images=[noise(mode, 17, 12, n)], duration=50)
with open(sys.argv[1], 'w') as f:
    for name, data in files.items():
        im = Image.open(io.BytesIO(data)); im.load()
        row = {'name': name, 'w': im.size[0], 'h': im.size[1], 'mode': im.mode, 'own': None if im.mode == 'I;16' else sha(im)}
        for m in ('L', 'RGB', 'RGBA'): row[m] = None if (im.mode, m) == ('CMYK', 'RGBA') else sha(im.convert(m))
        row['white'] = None if im.mode == 'I;16' else sha(convert_to_rgb(im.copy()))
        f.write(json.dumps({**row, 'file': data.hex()}) + '\n')
