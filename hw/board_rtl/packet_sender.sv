// A reply to bytes for a serial line: header, payload, status and checksum, stuffed, between two flags.
//
// The reply starts when start_valid_i and start_ready_o; the header's inputs stay as they are until done_o. With
// payload_i words come by word_valid_i and word_ready_o, the first byte in the lane of address_i; status_i is sent
// behind the last. done_o is a pulse when the closing flag is taken. Throughput one byte in two cycles at most.
// Golden: hw/serial_packets.py reply_bytes().

module packet_sender (
  input  logic        clk_i,
  input  logic        rst_ni,

  input  logic        start_valid_i,
  output logic        start_ready_o,
  input  logic [7:0]  kind_i,
  input  logic [15:0] sequence_i,
  input  logic [31:0] address_i,
  input  logic [15:0] length_i,
  input  logic        payload_i,
  input  logic [7:0]  status_i,
  output logic        done_o,

  input  logic        word_valid_i,
  output logic        word_ready_o,
  input  logic [31:0] word_i,

  output logic        valid_o,
  input  logic        ready_i,
  output logic [7:0]  data_o
);

  localparam int unsigned HeaderBytes = 9;
  localparam logic [7:0]  Flag        = 8'h7E;
  localparam logic [7:0]  Escape      = 8'h7D;
  localparam logic [7:0]  ReplyBit    = 8'h80;

  typedef enum logic [2:0] {StRest, StOpen, StHeader, StPayload, StStatus, StCheck, StClose} state_e;

  state_e                      state_q, state_d;
  logic [15:0]                 index_q;
  logic                        escape_q, escaped, framing, raw_valid, step, last_byte;
  logic                        fresh_q, raw_valid_q;  // raw_q is the byte at hand
  logic [7:0]                  raw, raw_q;
  logic [31:0]                 crc_q, crc, check;
  logic [HeaderBytes-1:0][7:0] header;
  logic [1:0]                  lane;

  assign header  = {length_i, address_i, sequence_i, kind_i | ReplyBit};
  assign lane    = address_i[1:0] + index_q[1:0];
  assign check   = ~crc_q;
  assign framing = state_q == StOpen || state_q == StClose;

  always_comb begin
    raw_valid = state_q != StRest;
    unique case (state_q)
      StHeader:  raw = header[index_q[3:0]];
      StPayload: begin
        raw       = word_i[8*lane +: 8];
        raw_valid = word_valid_i;
      end
      StStatus:  raw = status_i;
      StCheck:   raw = check[8*index_q[1:0] +: 8];
      default:   raw = Flag;
    endcase
  end

  // A byte that looks like a flag or an escape goes as two.
  assign escaped = !framing && !escape_q && (raw_q == Flag || raw_q == Escape);
  assign valid_o = raw_valid_q && fresh_q;
  assign data_o  = escaped ? Escape : escape_q ? raw_q ^ 8'h20 : raw_q;
  assign step    = valid_o && ready_i && !escaped;

  crc32_step u_crc (
    .crc_i (crc_q),
    .data_i(raw_q),
    .crc_o (crc)
  );

  always_comb begin
    state_d   = state_q;
    last_byte = 1'b0;
    unique case (state_q)
      StRest:    if (start_valid_i) state_d = StOpen;
      StOpen:    if (step) state_d = StHeader;
      StHeader: begin
        last_byte = index_q == 16'(HeaderBytes - 1);
        if (step && last_byte) state_d = payload_i ? StPayload : StStatus;
      end
      StPayload: begin
        last_byte = index_q + 16'd1 == length_i;
        if (step && last_byte) state_d = StStatus;
      end
      StStatus: begin
        last_byte = 1'b1;
        if (step) state_d = StCheck;
      end
      StCheck: begin
        last_byte = index_q == 16'd3;
        if (step && last_byte) state_d = StClose;
      end
      default:   if (step) state_d = StRest;
    endcase
  end

  assign start_ready_o = state_q == StRest;
  assign word_ready_o  = state_q == StPayload && step && (lane == 2'd3 || last_byte);
  assign done_o        = state_q == StClose && step;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q     <= StRest;
      escape_q    <= 1'b0;
      fresh_q     <= 1'b0;
      raw_valid_q <= 1'b0;
    end else begin
      state_q     <= state_d;
      fresh_q     <= !(valid_o && ready_i);
      raw_valid_q <= raw_valid;
      if (valid_o && ready_i) escape_q <= escaped;
    end
  end

  always_ff @(posedge clk_i) begin
    raw_q <= raw;
  end

  always_ff @(posedge clk_i) begin
    if (framing) index_q <= '0;
    else if (step) index_q <= last_byte ? '0 : index_q + 16'd1;
    if (framing) crc_q <= '1;
    else if (step && state_q != StCheck) crc_q <= crc;
  end

`ifndef SYNTHESIS
  ByteHeldA : assert property (@(posedge clk_i) disable iff (!rst_ni)
    valid_o && !ready_i |=> valid_o && $stable(data_o));
`endif

endmodule
