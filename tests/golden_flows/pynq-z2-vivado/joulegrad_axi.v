// joulegrad_zynq of configuration z7020 for a block design on pynq-z2;
// written from the description.

module joulegrad_axi (
  (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)
  (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF s_axi:m0_axi:m1_axi, ASSOCIATED_RESET aresetn" *)
  input wire aclk,
  (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)
  (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)
  input wire aresetn,
  (* X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 irq INTERRUPT" *)
  (* X_INTERFACE_PARAMETER = "SENSITIVITY LEVEL_HIGH" *)
  output wire irq,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi AWADDR" *)
  (* X_INTERFACE_PARAMETER = "PROTOCOL AXI4LITE" *)
  input wire [15:0] s_axi_awaddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi AWVALID" *)
  input wire s_axi_awvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi AWREADY" *)
  output wire s_axi_awready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi WDATA" *)
  input wire [31:0] s_axi_wdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi WSTRB" *)
  input wire [3:0] s_axi_wstrb,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi WVALID" *)
  input wire s_axi_wvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi WREADY" *)
  output wire s_axi_wready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi BRESP" *)
  output wire [1:0] s_axi_bresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi BVALID" *)
  output wire s_axi_bvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi BREADY" *)
  input wire s_axi_bready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi ARADDR" *)
  input wire [15:0] s_axi_araddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi ARVALID" *)
  input wire s_axi_arvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi ARREADY" *)
  output wire s_axi_arready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi RDATA" *)
  output wire [31:0] s_axi_rdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi RRESP" *)
  output wire [1:0] s_axi_rresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi RVALID" *)
  output wire s_axi_rvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi RREADY" *)
  input wire s_axi_rready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARID" *)
  output wire [5:0] m0_axi_arid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARADDR" *)
  (* X_INTERFACE_PARAMETER = "PROTOCOL AXI3, MAX_BURST_LENGTH 16, NUM_READ_OUTSTANDING 8, NUM_WRITE_OUTSTANDING 8" *)
  output wire [31:0] m0_axi_araddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARLEN" *)
  output wire [3:0] m0_axi_arlen,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARSIZE" *)
  output wire [2:0] m0_axi_arsize,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARBURST" *)
  output wire [1:0] m0_axi_arburst,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARLOCK" *)
  output wire [1:0] m0_axi_arlock,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARCACHE" *)
  output wire [3:0] m0_axi_arcache,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARPROT" *)
  output wire [2:0] m0_axi_arprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARQOS" *)
  output wire [3:0] m0_axi_arqos,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARVALID" *)
  output wire m0_axi_arvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARREADY" *)
  input wire m0_axi_arready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RID" *)
  input wire [5:0] m0_axi_rid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RDATA" *)
  input wire [63:0] m0_axi_rdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RRESP" *)
  input wire [1:0] m0_axi_rresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RLAST" *)
  input wire m0_axi_rlast,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RVALID" *)
  input wire m0_axi_rvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RREADY" *)
  output wire m0_axi_rready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWID" *)
  output wire [5:0] m0_axi_awid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWADDR" *)
  output wire [31:0] m0_axi_awaddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWLEN" *)
  output wire [3:0] m0_axi_awlen,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWSIZE" *)
  output wire [2:0] m0_axi_awsize,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWBURST" *)
  output wire [1:0] m0_axi_awburst,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWLOCK" *)
  output wire [1:0] m0_axi_awlock,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWCACHE" *)
  output wire [3:0] m0_axi_awcache,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWPROT" *)
  output wire [2:0] m0_axi_awprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWQOS" *)
  output wire [3:0] m0_axi_awqos,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWVALID" *)
  output wire m0_axi_awvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWREADY" *)
  input wire m0_axi_awready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WID" *)
  output wire [5:0] m0_axi_wid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WDATA" *)
  output wire [63:0] m0_axi_wdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WSTRB" *)
  output wire [7:0] m0_axi_wstrb,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WLAST" *)
  output wire m0_axi_wlast,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WVALID" *)
  output wire m0_axi_wvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WREADY" *)
  input wire m0_axi_wready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi BID" *)
  input wire [5:0] m0_axi_bid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi BRESP" *)
  input wire [1:0] m0_axi_bresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi BVALID" *)
  input wire m0_axi_bvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi BREADY" *)
  output wire m0_axi_bready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARID" *)
  output wire [5:0] m1_axi_arid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARADDR" *)
  (* X_INTERFACE_PARAMETER = "PROTOCOL AXI3, MAX_BURST_LENGTH 16, NUM_READ_OUTSTANDING 8, NUM_WRITE_OUTSTANDING 8" *)
  output wire [31:0] m1_axi_araddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARLEN" *)
  output wire [3:0] m1_axi_arlen,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARSIZE" *)
  output wire [2:0] m1_axi_arsize,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARBURST" *)
  output wire [1:0] m1_axi_arburst,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARLOCK" *)
  output wire [1:0] m1_axi_arlock,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARCACHE" *)
  output wire [3:0] m1_axi_arcache,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARPROT" *)
  output wire [2:0] m1_axi_arprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARQOS" *)
  output wire [3:0] m1_axi_arqos,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARVALID" *)
  output wire m1_axi_arvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARREADY" *)
  input wire m1_axi_arready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RID" *)
  input wire [5:0] m1_axi_rid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RDATA" *)
  input wire [63:0] m1_axi_rdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RRESP" *)
  input wire [1:0] m1_axi_rresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RLAST" *)
  input wire m1_axi_rlast,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RVALID" *)
  input wire m1_axi_rvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RREADY" *)
  output wire m1_axi_rready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWID" *)
  output wire [5:0] m1_axi_awid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWADDR" *)
  output wire [31:0] m1_axi_awaddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWLEN" *)
  output wire [3:0] m1_axi_awlen,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWSIZE" *)
  output wire [2:0] m1_axi_awsize,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWBURST" *)
  output wire [1:0] m1_axi_awburst,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWLOCK" *)
  output wire [1:0] m1_axi_awlock,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWCACHE" *)
  output wire [3:0] m1_axi_awcache,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWPROT" *)
  output wire [2:0] m1_axi_awprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWQOS" *)
  output wire [3:0] m1_axi_awqos,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWVALID" *)
  output wire m1_axi_awvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi AWREADY" *)
  input wire m1_axi_awready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi WID" *)
  output wire [5:0] m1_axi_wid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi WDATA" *)
  output wire [63:0] m1_axi_wdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi WSTRB" *)
  output wire [7:0] m1_axi_wstrb,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi WLAST" *)
  output wire m1_axi_wlast,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi WVALID" *)
  output wire m1_axi_wvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi WREADY" *)
  input wire m1_axi_wready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi BID" *)
  input wire [5:0] m1_axi_bid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi BRESP" *)
  input wire [1:0] m1_axi_bresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi BVALID" *)
  input wire m1_axi_bvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi BREADY" *)
  output wire m1_axi_bready
);

  wire unused_window = ^{s_axi_awaddr[15:10], s_axi_araddr[15:10]};
  joulegrad_zynq #(
    .G(16),
    .AWords(8192),
    .WWords(4096),
    .AccRows(1024),
    .VectorWords(2048),
    .MaskWords(512),
    .TableWords(4096),
    .ProgramWords(1024),
    .ListWords(512),
    .BlockWords(64),
    .PassTaps(2),
    .AxiBits(64),
    .ConfigHash(<hash>)
  ) u_block (
    .clk_i(aclk),
    .rst_ni(aresetn),
    .irq_o(irq),
    .s_axi_awaddr_i(s_axi_awaddr[9:0]),
    .s_axi_awvalid_i(s_axi_awvalid),
    .s_axi_awready_o(s_axi_awready),
    .s_axi_wdata_i(s_axi_wdata),
    .s_axi_wstrb_i(s_axi_wstrb),
    .s_axi_wvalid_i(s_axi_wvalid),
    .s_axi_wready_o(s_axi_wready),
    .s_axi_bresp_o(s_axi_bresp),
    .s_axi_bvalid_o(s_axi_bvalid),
    .s_axi_bready_i(s_axi_bready),
    .s_axi_araddr_i(s_axi_araddr[9:0]),
    .s_axi_arvalid_i(s_axi_arvalid),
    .s_axi_arready_o(s_axi_arready),
    .s_axi_rdata_o(s_axi_rdata),
    .s_axi_rresp_o(s_axi_rresp),
    .s_axi_rvalid_o(s_axi_rvalid),
    .s_axi_rready_i(s_axi_rready),
    .hp_arid_o({m1_axi_arid, m0_axi_arid}),
    .hp_araddr_o({m1_axi_araddr, m0_axi_araddr}),
    .hp_arlen_o({m1_axi_arlen, m0_axi_arlen}),
    .hp_arsize_o({m1_axi_arsize, m0_axi_arsize}),
    .hp_arburst_o({m1_axi_arburst, m0_axi_arburst}),
    .hp_arlock_o({m1_axi_arlock, m0_axi_arlock}),
    .hp_arcache_o({m1_axi_arcache, m0_axi_arcache}),
    .hp_arprot_o({m1_axi_arprot, m0_axi_arprot}),
    .hp_arqos_o({m1_axi_arqos, m0_axi_arqos}),
    .hp_arvalid_o({m1_axi_arvalid, m0_axi_arvalid}),
    .hp_arready_i({m1_axi_arready, m0_axi_arready}),
    .hp_rid_i({m1_axi_rid, m0_axi_rid}),
    .hp_rdata_i({m1_axi_rdata, m0_axi_rdata}),
    .hp_rresp_i({m1_axi_rresp, m0_axi_rresp}),
    .hp_rlast_i({m1_axi_rlast, m0_axi_rlast}),
    .hp_rvalid_i({m1_axi_rvalid, m0_axi_rvalid}),
    .hp_rready_o({m1_axi_rready, m0_axi_rready}),
    .hp_awid_o({m1_axi_awid, m0_axi_awid}),
    .hp_awaddr_o({m1_axi_awaddr, m0_axi_awaddr}),
    .hp_awlen_o({m1_axi_awlen, m0_axi_awlen}),
    .hp_awsize_o({m1_axi_awsize, m0_axi_awsize}),
    .hp_awburst_o({m1_axi_awburst, m0_axi_awburst}),
    .hp_awlock_o({m1_axi_awlock, m0_axi_awlock}),
    .hp_awcache_o({m1_axi_awcache, m0_axi_awcache}),
    .hp_awprot_o({m1_axi_awprot, m0_axi_awprot}),
    .hp_awqos_o({m1_axi_awqos, m0_axi_awqos}),
    .hp_awvalid_o({m1_axi_awvalid, m0_axi_awvalid}),
    .hp_awready_i({m1_axi_awready, m0_axi_awready}),
    .hp_wid_o({m1_axi_wid, m0_axi_wid}),
    .hp_wdata_o({m1_axi_wdata, m0_axi_wdata}),
    .hp_wstrb_o({m1_axi_wstrb, m0_axi_wstrb}),
    .hp_wlast_o({m1_axi_wlast, m0_axi_wlast}),
    .hp_wvalid_o({m1_axi_wvalid, m0_axi_wvalid}),
    .hp_wready_i({m1_axi_wready, m0_axi_wready}),
    .hp_bid_i({m1_axi_bid, m0_axi_bid}),
    .hp_bresp_i({m1_axi_bresp, m0_axi_bresp}),
    .hp_bvalid_i({m1_axi_bvalid, m0_axi_bvalid}),
    .hp_bready_o({m1_axi_bready, m0_axi_bready})
  );

endmodule
