import{b as e}from"./chunk-UR744EM4.js";import{fa as o,ha as r}from"./chunk-IOOHZ22Q.js";function f(){return e.value.refused?null:o(r,{})}export{f as a};
