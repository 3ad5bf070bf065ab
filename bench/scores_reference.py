"""scores_reference.py: the work of bench/scores.c with Pillow and scikit-image, on the same arrays; reads its lines on standard input and prints the ratios.
CPU seconds, best of several rounds."""
import json, sys, time
import numpy as np
from PIL import Image, __version__ as pillow
import skimage
from skimage.metrics import structural_similarity


def paint(side, mode, shift=0):
    y, x = np.mgrid[:side, :side].astype(np.int64)
    second = (3 * x * x + 5 * y * y + x * y) // 8 + shift
    if mode == 'L': return Image.fromarray((second & 255).astype(np.uint8))
    return Image.fromarray(np.dstack([c & 255 for c in (7 * x + 13 * y + 5 * (x * y % 17), second, 3 * x + 2 * y + shift)]).astype(np.uint8))


def best_of(fn):
    best, value = 1e9, fn()
    for _ in range(3):
        begin, calls, spent = time.process_time(), 0, 0
        while spent < .08: fn(); calls += 1; spent = time.process_time() - begin
        best = min(best, spent / calls)
    return best, value


def score(im):
    a = im.resize((768, 768), Image.BILINEAR)
    b = a.resize((336, 336), Image.BILINEAR).resize((768, 768), Image.BILINEAR)
    return structural_similarity(np.asarray(a.convert('L')), np.asarray(b.convert('L')))


print('Pillow %s, scikit-image %s' % (pillow, skimage.__version__))
for line in sys.stdin:
    ours = json.loads(line)
    what = ours['what'].split()
    if what[0] == 'clip':
        print('%-28s %10.1f images per second' % (ours['what'], ours['per_second']))
        continue
    if what[0] == 'resize':
        im, side = paint(int(what[2]), 'RGB'), int(what[3])
        seconds, value = best_of(lambda: im.resize((side, side), Image.Resampling[what[1].upper()]))
    elif what[0] == 'ssim':
        a, b = np.asarray(paint(int(what[1]), 'L')), np.asarray(paint(int(what[1]), 'L', 9))
        seconds, value = best_of(lambda: structural_similarity(a, b))
    else:
        im = paint(1024, 'RGB')
        seconds, value = best_of(lambda: score(im))
    if 'value' in ours and abs(value - ours['value']) > 1e-9: sys.exit('%s: %r is not %r' % (ours['what'], ours['value'], value))
    print('%-28s %8.3f ms  reference %8.3f ms  ratio %5.1f' % (ours['what'], 1e3 * ours['seconds'], 1e3 * seconds, seconds / ours['seconds']))
