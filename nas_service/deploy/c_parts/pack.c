/* Signs of a map, [padded pixel][group][byte]. */
static void nn_pack(const struct nn_stage *s, const nn_value *arena, uint8_t *bits)
{
  const unsigned per_group = s->channels / s->groups, pixel_bytes = s->groups * s->group_bytes;
  const unsigned width = s->width + 2u * s->padding;
  unsigned x, y, group, channel;
  nn_pad(s, bits);
  for (y = 0; y < s->height; y++) {
    uint8_t *row = bits + ((size_t)(y + s->padding) * width + s->padding) * pixel_bytes;
    const nn_value *in = arena + s->in + (size_t)y * s->width * s->in_stride;
#if defined(NN_ROWS)
    if (per_group % 16 == 0 && s->group_bytes == per_group / 8) {
      for (channel = 0; channel + 64 <= s->channels; channel += 64)
        nn_signs_of_row(s, in, channel, 4, row);
      for (; channel < s->channels; channel += 16)
        nn_signs_of_row(s, in, channel, 1, row);
      continue;
    }
#endif
    for (x = 0; x < s->width; x++, in += s->in_stride, row += pixel_bytes) {
      for (group = 0; group < s->groups; group++) {
        for (channel = per_group / 8; channel < s->group_bytes; channel++)
          row[group * s->group_bytes + channel] = 0;
        nn_signs(in + group * per_group, s->limits + group * per_group, per_group,
                 s->flips ? s->flips + group * s->group_bytes : 0, row + group * s->group_bytes);
      }
    }
  }
}
