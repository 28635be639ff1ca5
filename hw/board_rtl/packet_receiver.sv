// Bytes from a serial line to requests: frames found, stuffing undone, checksums compared (hw/serial_packets.py).
//
// A frame between two flags is a request when its checksum is right and its length fits its kind; everything else is
// dropped, as is what comes while all slots are taken. Payload bytes of a write go to the slot in turn, in 32-bit words
// and in the lanes of their addresses, before the request is known to be whole; requests are handed out in order and
// their slots are free again with release_i. refused_o: more than a slot holds, or nothing, or no known kind.
// Latency 2 cycles from the closing flag; one byte per cycle. Golden: hw/serial_packets.py Deframer, request_of().

module packet_receiver #(
  parameter  int unsigned Slots     = 4,    // a power of two
  parameter  int unsigned SlotWords = 256,  // 32-bit words, a power of two
  localparam int unsigned SlotW     = $clog2(Slots),
  localparam int unsigned WordW     = $clog2(SlotWords)
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,

  input  logic                   valid_i,
  input  logic [7:0]             data_i,

  output logic                   wen_o,     // payload words
  output logic [SlotW+WordW-1:0] waddr_o,
  output logic [31:0]            wdata_o,

  output logic                   request_valid_o,
  input  logic                   request_ready_i,
  output logic [7:0]             kind_o,
  output logic [15:0]            sequence_o,
  output logic [31:0]            address_o,
  output logic [15:0]            length_o,
  output logic                   refused_o,
  input  logic                   release_i,

  output logic                   whole_o,   // a request was taken up (pulse)
  output logic                   dropped_o  // a frame was dropped (pulse)
);

  localparam int unsigned CountW      = WordW + 3;  // bytes of the longest frame
  localparam int unsigned HeaderBytes = 9;
  localparam int unsigned CheckBytes  = 4;
  localparam logic [7:0]  Flag        = 8'h7E;
  localparam logic [7:0]  Escape      = 8'h7D;
  localparam logic [31:0] Residue     = 32'hDEBB20E3;
  localparam logic [7:0]  KindWrite   = 8'd3;

  typedef struct packed {
    logic [15:0] length;
    logic [31:0] address;
    logic [15:0] sequence_number;
    logic [7:0]  kind;
  } header_t;

  header_t           header_q;
  logic [CountW-1:0] count_q, index;
  logic [31:0]       crc_q, crc;
  logic [7:0]        data;
  logic              escape_q, bad_q, flag, take, full, whole, fits, is_write, refused, push_q, refused_q;
  logic              in_payload, last_payload;
  logic [16:0]       payload_bytes;
  logic [1:0]        lane;
  logic [SlotW:0]    taken_q;
  logic [SlotW-1:0]  slot_q;
  logic              queue_ready;

  assign flag = valid_i && data_i == Flag;
  assign take = valid_i && !flag && (data_i != Escape || escape_q);
  assign data = escape_q ? data_i ^ 8'h20 : data_i;
  assign full = taken_q == (SlotW + 1)'(Slots);

  crc32_step u_crc (
    .crc_i (crc_q),
    .data_i(data),
    .crc_o (crc)
  );

  // What the header says; it is whole when the first payload byte comes.
  assign is_write      = header_q.kind == KindWrite;
  assign payload_bytes = 17'(header_q.length) + 17'(header_q.address[1:0]);
  assign fits          = header_q.length != '0 && payload_bytes <= 17'(4 * SlotWords);
  assign refused       = !fits || header_q.kind == 8'd0 || header_q.kind > KindWrite;
  assign whole         = crc_q == Residue && !bad_q && !escape_q && count_q >= CountW'(HeaderBytes + CheckBytes) &&
                         17'(count_q) == 17'(HeaderBytes + CheckBytes) + (is_write ? 17'(header_q.length) : 17'd0);

  assign index        = count_q - CountW'(HeaderBytes);
  assign lane         = header_q.address[1:0] + index[1:0];
  assign in_payload   = take && count_q >= CountW'(HeaderBytes) && is_write && fits && 16'(index) < header_q.length;
  assign last_payload = 16'(index) + 16'd1 == header_q.length;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flag) begin
      count_q  <= '0;
      bad_q    <= !rst_ni;  // what comes before the first flag is no frame
      escape_q <= 1'b0;
      crc_q    <= '1;
    end else begin
      if (valid_i) escape_q <= data_i == Escape && !escape_q;
      if (take) begin
        count_q <= count_q + CountW'(1);
        crc_q   <= crc;
        if ((count_q == '0 && full) || count_q == '1 || (escape_q && data_i == Escape)) bad_q <= 1'b1;
      end
      if (take && count_q < CountW'(HeaderBytes)) header_q <= {data, header_q[71:8]};
    end
  end

  // Payload words, each with its last byte.
  always_ff @(posedge clk_i) begin
    wen_o <= in_payload && !bad_q && (lane == 2'd3 || last_payload);
    if (in_payload) begin
      wdata_o[8*lane +: 8] <= data;
      waddr_o              <= {slot_q, WordW'((index + CountW'(header_q.address[1:0])) >> 2)};
    end
  end

  // A cycle later, so that the comparisons above end in a register.
  header_t pushed_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      push_q    <= 1'b0;
      whole_o   <= 1'b0;
      dropped_o <= 1'b0;
      taken_q   <= '0;
      slot_q    <= '0;
    end else begin
      push_q    <= flag && whole;
      whole_o   <= flag && whole;
      dropped_o <= flag && !whole && count_q != '0;
      if (flag && whole) slot_q <= slot_q + SlotW'(1);
      taken_q <= taken_q + (SlotW + 1)'(flag && whole) - (SlotW + 1)'(release_i);
    end
    pushed_q  <= header_q;
    refused_q <= refused;
  end

  fifo #(
    .Width($bits(header_t) + 1),
    .Depth(Slots)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .in_valid_i (push_q),
    .in_ready_o (queue_ready),
    .in_data_i  ({refused_q, pushed_q}),
    .out_valid_o(request_valid_o),
    .out_ready_i(request_ready_i),
    .out_data_o ({refused_o, length_o, address_o, sequence_o, kind_o})
  );

`ifndef SYNTHESIS
  QueueHasRoomA : assert property (@(posedge clk_i) disable iff (!rst_ni) push_q |-> queue_ready);
  ReleaseTakenA : assert property (@(posedge clk_i) disable iff (!rst_ni) release_i |-> taken_q != '0);
`endif

endmodule
