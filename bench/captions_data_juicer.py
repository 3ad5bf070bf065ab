"""captions_data_juicer.py DIR: CPU time of Data-Juicer's own rule operators on DIR/captions.jsonl, called directly, without its executor. They must give
the numbers of DIR/ours.jsonl."""
import json
import sys
import time

from loguru import logger

logger.remove()
from data_juicer.ops.filter.alphanumeric_filter import AlphanumericFilter
from data_juicer.ops.filter.character_repetition_filter import CharacterRepetitionFilter
from data_juicer.ops.filter.flagged_words_filter import FlaggedWordFilter
from data_juicer.ops.filter.special_characters_filter import SpecialCharactersFilter
from data_juicer.ops.filter.text_length_filter import TextLengthFilter
from data_juicer.ops.filter.word_repetition_filter import WordRepetitionFilter
from data_juicer.utils.constant import Fields

folder = sys.argv[1]
texts = [json.loads(line)['text'] for line in open(folder + '/captions.jsonl', encoding='utf-8')]
ops = [AlphanumericFilter(), SpecialCharactersFilter(), CharacterRepetitionFilter(), WordRepetitionFilter(), FlaggedWordFilter(flagged_words_dir=folder),
       TextLengthFilter()]
sample = {'text': texts, Fields.stats: [{} for _ in texts]}
start = time.process_time()
for op in ops:
    sample = op.compute_stats_batched(sample)
    list(op.process_batched(sample))
print('user', time.process_time() - start)
for line, stats in zip(open(folder + '/ours.jsonl', encoding='utf-8'), sample[Fields.stats]):
    ours = json.loads(line)
    assert all(ours[k] == v for k, v in stats.items()), (ours, stats)
