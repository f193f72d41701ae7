static const struct {
  const void *at;
  uint32_t bytes;
} nn_tables[] = {@TABLES@};

uint32_t nn_checksum(void)
{
  uint32_t sum = 0xffffffffu;
  size_t table, byte;
  int bit;
  for (table = 0; table < sizeof(nn_tables) / sizeof(nn_tables[0]); table++) {
    const uint8_t *at = (const uint8_t *)nn_tables[table].at;
    for (byte = 0; byte < nn_tables[table].bytes; byte++) {
      sum ^= at[byte];
      for (bit = 0; bit < 8; bit++)
        sum = (sum >> 1) ^ (0xedb88320u & (0u - (sum & 1u)));
    }
  }
  return ~sum;
}

const struct nn_facts nn_facts = {NN_DIGEST, NN_ARENA_BYTES, NN_HEIGHT, NN_WIDTH, NN_CHANNELS, NN_CLASSES};
