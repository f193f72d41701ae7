static void nn_avg_pool(const struct nn_stage *s, float *arena)
{
  unsigned y, x, channel;
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++) {
      float *out = arena + s->out + ((size_t)y * s->out_width + x) * s->out_stride;
      int row = (int)(y * s->stride) - s->padding, count = 0, end_y = row + s->size, end_x;
      end_y = end_y > s->height ? s->height : end_y;
      for (row = row < 0 ? 0 : row; row < end_y; row++) {
        int column = (int)(x * s->stride) - s->padding;
        end_x = column + s->size > s->width ? s->width : column + s->size;
        for (column = column < 0 ? 0 : column; column < end_x; column++, count++) {
          const float *in = arena + s->in + ((size_t)row * s->width + column) * s->in_stride;
          NN_LANES_APART
          for (channel = 0; channel < s->outputs; channel++)
            out[channel] = count ? out[channel] + in[channel] : in[channel];
        }
      }
      NN_LANES_APART
      for (channel = 0; channel < s->outputs; channel++)
        out[channel] = out[channel] / (float)count;
    }
}
