static void nn_pad(const struct nn_stage *s, uint8_t *bits)
{
  const unsigned per_group = s->channels / s->groups;
  const uint8_t rest = (uint8_t)(per_group % 8 ? (1u << per_group % 8) - 1 : 255u), full = s->pads_plus ? 255 : 0;
  size_t place, total = (size_t)(s->height + 2u * s->padding) * (s->width + 2u * s->padding) * s->groups;
  if (!s->padding)
    return;
  memset(bits, full, total * s->group_bytes);
  for (place = 1; full && per_group % 8 && place <= total; place++)
    bits[place * s->group_bytes - 1] = rest;
}
